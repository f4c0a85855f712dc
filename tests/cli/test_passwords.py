"""The password of a store's server: used, but neither shown nor written down."""

import os
import signal
import time
from pathlib import Path

import pytest
from terminal import Prompt, Shell

from nasgym.store import open_store
from nasgym.testing.postgres import Server

SEARCH = ("--epochs", 1, "--final-epochs", 1, "--finalists", 1, "--size", 16, "--workers", 0)


@pytest.mark.slow
def test_a_search_goes_on_with_the_password_given_again_or_found_elsewhere(
    shell: Shell, prompt: Prompt, photos: Path, postgres: Server
):
    url = postgres.new_database()
    search = shell.start("search", photos, "--evaluations", 500, *SEARCH, "--store", url, "--out", "out")
    deadline = time.monotonic() + 120
    while not (shell.folder / "out" / "run.json").exists():
        assert search.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(search.pid, signal.SIGINT)
    _, said = search.communicate(timeout=120)
    assert search.returncode == 130, said
    assert postgres.password not in said
    for path in (shell.folder / "out").rglob("*"):
        assert path.is_dir() or postgres.password.encode() not in path.read_bytes(), path
    with open_store(url) as store:
        assert all(postgres.password not in str(run.configuration) for run in store.runs())
    resume = ("search", photos, "--resume", "--out", "out", "--evaluations", 2)
    refused = prompt.run(*resume)
    assert refused.code == 2
    assert "cannot be reached" in refused.err
    assert "password" in refused.err
    finished = prompt.run(*resume, "--store", url)
    assert finished.code == 0, finished.err
    again = prompt.run("search", photos, "--resume", "--out", "out", "--store", url.replace(postgres.password, "other"))
    assert again.code == 0, "a finished search is only told of"


@pytest.mark.slow
def test_the_password_of_a_training_of_agents_is_not_written_down(prompt: Prompt, postgres: Server):
    url = postgres.new_database()
    config = Path(__file__).parents[2] / "configs" / "meta" / "digits-live.toml"
    trained = prompt.run("meta-train", config, "--steps", 8, "--workers", 0, "--store", url, "--out", "out")
    assert trained.code == 0, trained.err
    for path in (prompt.folder / "out").rglob("*"):
        assert path.is_dir() or postgres.password.encode() not in path.read_bytes(), path
    again = prompt.run("meta-train", config, "--steps", 8, "--workers", 0, "--store", url, "--out", "out")
    assert again.code == 0, again.err
