"""Evaluations in flight, on real processes that really die."""

import os
import signal
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from nasgym.architectures import parse_architecture
from nasgym.evaluation import Completed, EvaluationRequest, Failed, FailureKind, Outcome
from nasgym.executors import Calls, Evaluations, InProcessExecutor, Lost, Workforce, local_executor
from nasgym.networks.profiles import DEFAULT, NetworkProfile
from nasgym.tasks import Fidelity, Task

TASK = Task("shapes", "0" * 16, (32, 32, 3), 10, fidelity=Fidelity(epochs=1))


@dataclass(frozen=True)
class Measured:
    """Accuracy is the number of layers over ten; `conv5` kills its worker, `maxpool3` is a bug."""

    fingerprint: str = "measured"
    profile: NetworkProfile = DEFAULT

    def evaluate(self, request: EvaluationRequest) -> Outcome:
        text = str(request.architecture)
        if "conv5" in text:
            os.kill(os.getpid(), signal.SIGKILL)
        if "maxpool3" in text:
            raise ZeroDivisionError("a bug in the estimator")
        time.sleep(0.01)
        return Completed(len(request.architecture) / 10)


def request(text: str) -> EvaluationRequest:
    return EvaluationRequest.of(parse_architecture(text), TASK)


def collect(evaluations: Evaluations) -> dict[int, Outcome]:
    outcomes: dict[int, Outcome] = {}
    while len(evaluations):
        outcomes.update({number: outcome for number, _, outcome in evaluations.finished()})
    return outcomes


@pytest.mark.parametrize("make", [InProcessExecutor, partial(local_executor, 2)], ids=["in-process", "pool"])
def test_every_request_comes_back_once_with_its_own_outcome(make):
    texts = [" ".join(["conv3"] * depth) for depth in range(1, 7)]
    with Workforce(make) as workforce:
        evaluations = Evaluations(Measured(), workforce)
        for number, text in enumerate(texts):
            evaluations.start(number, request(text))
        assert collect(evaluations) == {number: Completed((number + 1) / 10) for number in range(6)}


def test_a_network_that_kills_its_worker_fails_and_the_others_complete():
    texts = ["conv3", "conv5", "conv3 conv3", "conv3 conv3 conv3"]
    with Workforce(partial(local_executor, 2)) as workforce:
        evaluations = Evaluations(Measured(), workforce)
        for number, text in enumerate(texts):
            evaluations.start(number, request(text))
        outcomes = collect(evaluations)
    killer = outcomes.pop(1)
    assert isinstance(killer, Failed)
    assert killer.kind is FailureKind.WORKER_LOST
    assert "died 3 times" in killer.message
    assert outcomes == {0: Completed(0.1), 2: Completed(0.2), 3: Completed(0.3)}


@pytest.mark.parametrize("make", [InProcessExecutor, partial(local_executor, 1)], ids=["in-process", "pool"])
def test_a_bug_in_the_estimator_raises_instead_of_becoming_a_result(make):
    with Workforce(make) as workforce:
        evaluations = Evaluations(Measured(), workforce)
        evaluations.start(0, request("maxpool3"))
        with pytest.raises(ZeroDivisionError, match="a bug in the estimator"):
            collect(evaluations)


def die_once(marker: Path) -> str:
    """Kill this process the first time; a memory killer would choose like that."""
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "well"


def sleep(seconds: float) -> str:
    time.sleep(seconds)
    return "slept"


def test_a_worker_killed_from_outside_costs_nothing_but_time(tmp_path):
    with Workforce(partial(local_executor, 2)) as workforce:
        calls: Calls[int, str] = Calls(workforce, die_once)
        for number in range(3):
            calls.start(number, tmp_path / f"{number}")
        results: dict[int, str | Lost] = {}
        while len(calls):
            results.update(calls.finished())
    assert results == dict.fromkeys(range(3), "well")


def test_what_is_abandoned_is_stopped_and_the_workforce_goes_on():
    with Workforce(partial(local_executor, 1)) as workforce:
        calls: Calls[int, str] = Calls(workforce, sleep)
        calls.start(0, 600.0)
        calls.start(1, 600.0)
        assert list(calls.finished(timeout=0.1)) == []
        calls.abandon()
        assert len(calls) == 0
        calls.start(2, 0.0)
        assert list(calls.finished(timeout=60)) == [(2, "slept")]


def test_what_is_withdrawn_never_starts_and_the_rest_ends(tmp_path):
    with Workforce(partial(local_executor, 1)) as workforce:
        calls: Calls[int, None] = Calls(workforce, touch_slowly)
        for number in range(10):
            calls.start(number, tmp_path / f"{number}")
        calls.withdraw()
        ended = set()
        while len(calls):
            ended.update(number for number, _ in calls.finished())
    assert ended == {int(path.name) for path in tmp_path.iterdir()}
    assert 1 <= len(ended) <= 3


def touch_slowly(path: Path) -> None:
    path.touch()
    time.sleep(0.3)


def test_closing_without_waiting_stops_the_workers_at_once():
    workforce = Workforce(partial(local_executor, 1))
    process = workforce.submit(os.getpid).result()
    workforce.submit(sleep, 600.0)
    workforce.close(wait=False)
    deadline = time.monotonic() + 20
    while Path(f"/proc/{process}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_workers_never_see_ctrl_c():
    with Workforce(partial(local_executor, 1)) as workforce:
        process = workforce.submit(os.getpid).result()
        os.kill(process, signal.SIGINT)
        assert workforce.submit(os.getpid).result() == process
