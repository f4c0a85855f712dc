"""`nasgym worker` beside `nasgym search`, as two people type them on two machines that share a PostgreSQL server."""

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest
from terminal import Prompt, Shell, survivors

from nasgym.architectures import parse_architecture
from nasgym.evaluation import EvaluationRequest
from nasgym.experiments.config import make_config
from nasgym.experiments.search import Surroundings, make_search_task, search_estimator
from nasgym.store import QueuedRequest, RunStatus, Store, open_store
from nasgym.testing.postgres import Server

SEARCH = ("--evaluations", 12, "--epochs", 4, "--final-epochs", 4, "--finalists", 2, "--size", 32)


@pytest.fixture
def url(postgres: Server) -> str:
    """URL of an empty store on the server."""
    location = postgres.new_database()
    open_store(location).close()
    return location


def timeless(result: dict) -> dict:
    return {name: value for name, value in result.items() if name not in ("seconds", "out")}


@pytest.mark.slow
def test_a_worker_joins_a_search_which_finds_what_it_finds_alone(shell: Shell, prompt: Prompt, photos, url):
    worker = shell.start("worker", "--store", url, "--workers", 1, "--idle-exit", "8s")
    searched = shell.run("search", photos, *SEARCH, "--workers", 1, "--store", url, "--out", "shared", "--json")
    assert searched.code == 0, searched.err
    _, said = worker.communicate(timeout=120)
    assert worker.returncode == 0, said
    alone = prompt.run("search", photos, *SEARCH, "--workers", 0, "--store", "alone.sqlite", "--out", "alone", "--json")
    assert timeless(json.loads(searched.out)) == timeless(json.loads(alone.out))
    made = re.search(r"Nothing to do for 8s\. Evaluations made: (\d+)\.", said)
    assert made is not None, said
    assert int(made[1]) >= 1
    with open_store(url) as store:
        (run,) = store.runs()
        assert f"Joined run {run.id}, which searches for a network on photos." in said
        assert run.status is RunStatus.FINISHED
        steps = list(store.steps(run.id))
        assert [step.number for step in steps] == list(range(12))
        assert store.queued() == []


def queue_a_long_training(store: Store, photos: Path, cache: Path) -> str:
    """Let a request wait that takes minutes; return the id of its run."""
    settings = {"data": {"source": str(photos), "size": 32}, "evaluation": {"epochs": 5000, "device": "cpu"}}
    config = make_config(settings)
    run = store.start_run("search", config.model_dump(mode="json"), seed=0)
    task = make_search_task(config, Surroundings(command="", cache_dir=cache))
    request = EvaluationRequest.of(parse_architecture("conv3 conv3"), task)
    store.queue([QueuedRequest(run.id, 0, request.key(search_estimator(config)), "conv3 conv3")])
    return run.id


def wait_until(condition, process, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_ctrl_c_gives_the_lease_back_at_once_and_a_kill_when_it_has_run_out(shell: Shell, photos, cache, url):
    with open_store(url) as store:
        queue_a_long_training(store, photos, cache)
        worker = shell.start("worker", "--store", url, "--workers", 1)
        wait_until(lambda: not store.queued(), worker)
        os.killpg(worker.pid, signal.SIGINT)
        _, said = worker.communicate(timeout=60)
        assert worker.returncode == 130, said
        assert "Stopped. What is finished is kept, and the leases are released: others take over." in said
        assert "Traceback" not in said
        assert survivors(worker.pid) == []
        assert len(store.queued()) == 1

        worker = shell.start("worker", "--store", url, "--workers", 1, "--lease", "2s")
        wait_until(lambda: not store.queued(), worker)
        time.sleep(2.5)
        assert store.queued() == []  # renewed all the while
        worker.kill()
        worker.communicate(timeout=60)
        assert survivors(worker.pid) == []
        wait_until(lambda: len(store.queued()) == 1, None, seconds=10)


def test_other_images_are_refused_by_name(prompt: Prompt, photos, cache, url):
    with open_store(url) as store:
        run = queue_a_long_training(store, photos, cache)
    said = prompt.run("worker", "--store", url, "--run", run, "--data", "digits", "--workers", 0)
    assert said.code == 2
    assert "Requests of the search on 'digits' cannot be answered here: data is " in said.err
    assert "name those that the search was started on with --data" in said.err
    left = prompt.run("worker", "--store", url, "--data", "digits", "--workers", 0, "--idle-exit", "0.2s")
    assert left.code == 0
    assert f"Run {run} is left to others. " in left.err
    assert left.err.count("left to others") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--run", "2031"), "No run '2031' in postgresql+psycopg://nasgym:***@127.0.0.1"),
        (("--lease", "soon"), "--lease is 'soon': a duration looks like 90s, 15m or 1h30m"),
        (("--idle-exit", "0"), "--idle-exit is '0': a duration is above zero"),
    ],
)
def test_a_wrong_option_is_an_error_that_says_so(prompt: Prompt, url, words, message):
    said = prompt.run("worker", "--store", url, *words)
    assert said.code == 2
    assert message in said.err


def test_a_store_that_is_not_there_is_an_error_that_names_it(prompt: Prompt):
    said = prompt.run("worker")
    assert said.code == 2
    assert "No store at" in said.err
    assert "runs/store.sqlite" in said.err


def test_help_says_how_to_join_from_another_machine(prompt: Prompt):
    said = prompt.run("worker", "--help")
    assert said.code == 0
    assert "nasgym worker --store postgresql+psycopg://me@server/nas" in said.out
