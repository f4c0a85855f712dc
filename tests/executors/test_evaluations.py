"""Evaluations in flight, on real processes that really die."""

import os
import signal
import time
from dataclasses import dataclass
from functools import partial

import pytest

from nasgym.architectures import parse_architecture
from nasgym.evaluation import Completed, EvaluationRequest, Failed, FailureKind, Outcome
from nasgym.executors import Evaluations, InProcessExecutor, local_executor
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
    with Evaluations(Measured(), make) as evaluations:
        for number, text in enumerate(texts):
            evaluations.start(number, request(text))
        assert collect(evaluations) == {number: Completed((number + 1) / 10) for number in range(6)}


def test_a_network_that_kills_its_worker_fails_and_the_others_complete():
    texts = ["conv3", "conv5", "conv3 conv3", "conv3 conv3 conv3"]
    with Evaluations(Measured(), partial(local_executor, 2)) as evaluations:
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
    with pytest.raises(ZeroDivisionError, match="a bug in the estimator"), Evaluations(Measured(), make) as evaluations:
        evaluations.start(0, request("maxpool3"))
        collect(evaluations)


def test_closing_without_waiting_stops_the_workers_at_once():
    evaluations = Evaluations(Measured(), partial(local_executor, 1))
    evaluations.start(0, request("conv3"))
    collect(evaluations)
    workers = list(evaluations._executor._processes.values())
    evaluations.close(wait=False)
    for worker in workers:
        worker.join(timeout=10)
        assert not worker.is_alive()
