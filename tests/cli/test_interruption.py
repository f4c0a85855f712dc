"""Searches that are stopped in the middle, in every way, and go on as if nothing had happened."""

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
from kills import Place, finish_under_fire, timeless
from terminal import Prompt, Shell, survivors, wait_for

import nasgym
from nasgym.store import RunStatus, open_store

SETTINGS = {"evaluations": 12, "epochs": 4, "final_epochs": 12, "finalists": 2, "size": 32}
WORDS = [word for name, value in SETTINGS.items() for word in (f"--{name.replace('_', '-')}", value)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, photos, cache) -> dict:
    """The result of the search that nobody stops."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("NASGYM_CACHE", str(cache))
        return timeless(nasgym.search(str(photos), **SETTINGS, workers=0).as_json())


def to_group(process) -> None:
    os.killpg(process.pid, signal.SIGINT)


def to_main_process(process) -> None:
    process.send_signal(signal.SIGINT)


def terminate(process) -> None:
    process.send_signal(signal.SIGTERM)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "stop"),
    [
        pytest.param("Network 3: ", to_group, id="ctrl-c in the search"),
        pytest.param("Final training of 3 networks", to_main_process, id="an interrupt in final training"),
        pytest.param("Network 5: ", terminate, id="a request to terminate"),
    ],
)
def test_a_stopped_search_says_so_leaves_nothing_running_and_goes_on(
    shell: Shell, prompt: Prompt, photos, undisturbed, moment, stop
):
    process = shell.start("search", photos, *WORDS, "--workers", 2, "--log-file", "log")
    wait_for(moment, shell.folder / "log", process)
    stop(process)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Stopped. Every finished evaluation is kept; go on with the same command and --resume." in said
    assert "Traceback" not in said
    assert survivors(process.pid) == []
    report = Path("runs/photos/report.html").read_text()
    assert "--resume" in report
    with open_store("runs/store.sqlite") as store:
        (run,) = store.runs()
        assert run.status is RunStatus.INTERRUPTED
        finished = len(list(store.steps(run.id)))
    assert finished == 12 if "Final" in moment else 1 <= finished < 12
    spent = json.loads(Path("runs/photos/run.json").read_text())["seconds"]

    resumed = prompt.run("search", photos, *WORDS, "--workers", 0, "--resume", "--json")
    assert resumed.code == 0, resumed.err
    assert "Going on after" in resumed.err
    result = json.loads(resumed.out)
    assert timeless(result) == undisturbed
    assert result["seconds"] > spent > 0


@pytest.mark.slow
def test_workers_die_with_a_search_that_is_killed(shell: Shell, photos):
    process = shell.start("search", photos, *WORDS, "--workers", 2, "--log-file", "log")
    wait_for("Network 2: ", shell.folder / "log", process)
    process.kill()
    process.communicate(timeout=60)
    assert survivors(process.pid) == []


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "kills", "pause"), [(0, 8, 2.0), (2, 4, 5.0)], ids=["alone", "or its workers"])
def test_kills_at_random_moments_lose_no_finished_evaluation(
    tmp_path, cache, photos, undisturbed, workers, kills, pause
):
    place = Place(tmp_path, cache, str(photos), workers)
    assert finish_under_fire(place, kills, pause, random.Random(workers)) >= kills // 2
    assert place.result() == undisturbed


@pytest.mark.slow
def test_a_search_keeps_to_its_budget_and_trains_a_finalist(shell: Shell):
    started = time.monotonic()
    said = shell.run("search", "digits", "--epochs", 2, "--budget", "30s", "--json")
    wall = time.monotonic() - started
    assert said.code == 0, said.err
    result = json.loads(said.out)
    with open_store(shell.folder / "runs" / "store.sqlite") as store:
        (run,) = store.runs()
        slowest = max(step.outcome.metrics.seconds for step in store.steps(run.id))
        finalists = list(store.steps(run.id, phase="final"))
    print(f"30 s: {result['seconds']} s, {wall:.1f} s with start and end, {result['evaluations']} networks")
    assert finalists
    assert result["evaluations"] >= 1
    assert result["seconds"] < 30 + slowest
    assert wall < 30 + slowest + 15  # the interpreter starts and ends outside the budget


@pytest.mark.slow
def test_a_first_network_that_takes_longer_than_the_budget_is_given_up_in_time(shell: Shell):
    words = ("search", "digits", "--epochs", 2000, "--budget", "12s", "--workers", 2)
    started = time.monotonic()
    said = shell.run(*words)
    assert time.monotonic() - started < 12 + 20  # the interpreter starts and ends outside the budget
    assert said.code == 2
    assert "The first networks were still at work when the 12 s were over, so there is no best one." in said.err
    assert "Give a longer --budget or fewer images" in said.err
