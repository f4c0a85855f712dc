"""Evaluations in flight, on workers that really die and hang."""

from dataclasses import replace

import called
import pytest
from called import Counting, Measured, request

from conftest import MakeExecutor, executors
from nasgym.evaluation import Completed, Estimator, Failed, FailureKind, Outcome
from nasgym.evaluation.recipes import training_profile
from nasgym.evaluation.training import TrainingEstimator
from nasgym.executors import Calls, Evaluations, Hung, Lost, Patience, Workforce, local_executor
from nasgym.tasks import Fidelity, ImageTask, make_task


class Brief(Patience):
    """Its limit is 2 seconds from the start."""

    def limit(self, request):
        return 2.0


def collect(evaluations: Evaluations) -> dict[int, Outcome]:
    outcomes: dict[int, Outcome] = {}
    while len(evaluations):
        outcomes.update({number: outcome for number, _, outcome in evaluations.finished()})
    return outcomes


def evaluate(estimator: Estimator, workforce: Workforce, texts: list[str], patience: Patience | None = None):
    evaluations = Evaluations(estimator, workforce, patience)
    for number, text in enumerate(texts):
        evaluations.start(number, request(text))
    return collect(evaluations)


@executors("in-process", "pool", "ray")
def test_every_request_comes_back_once_with_its_own_outcome(make: MakeExecutor):
    texts = [" ".join(["conv3"] * depth) for depth in range(1, 7)]
    with Workforce(make) as workforce:
        outcomes = evaluate(Measured(), workforce, texts)
    assert {number: outcome.accuracy for number, outcome in outcomes.items()} == {
        number: (number + 1) / 10 for number in range(6)
    }


@executors("pool", "ray")
def test_a_network_that_ends_or_hangs_its_worker_fails_and_the_others_complete(make: MakeExecutor):
    texts = ["conv3", "conv5", "conv3 conv3", "avgpool3", "conv3 conv3 conv3"]
    with Workforce(make) as workforce:
        outcomes = evaluate(Measured(), workforce, texts, Brief(Measured().profile))
    ended, hung = outcomes.pop(1), outcomes.pop(3)
    assert isinstance(ended, Failed)
    assert ended.kind is FailureKind.WORKER_LOST
    assert "died 3 times" in ended.message
    assert isinstance(hung, Failed)
    assert hung.kind is FailureKind.TIMED_OUT
    assert "stopped 2 times, the last time after 2 s" in hung.message
    assert {number: outcome.accuracy for number, outcome in outcomes.items()} == {0: 0.1, 2: 0.2, 4: 0.3}


@executors("in-process", "pool")
def test_a_bug_in_the_estimator_raises_instead_of_becoming_a_result(make: MakeExecutor):
    with Workforce(make) as workforce, pytest.raises(ZeroDivisionError, match="a bug in the estimator"):
        evaluate(Measured(), workforce, ["maxpool3"])


@executors("in-process", "pool", "small ray")
def test_a_worker_keeps_its_estimator_with_what_that_has_loaded(make: MakeExecutor):
    with Workforce(make) as workforce:
        outcomes = evaluate(Counting(), workforce, ["conv3"] * 6)
        counts = sorted(round(100 * outcome.accuracy) for outcome in outcomes.values())
        again = evaluate(Counting(), workforce, ["conv3"])
    assert sum(count == 1 for count in counts) <= 2  # one by each worker at most
    assert counts[-1] >= 3
    if workforce._executor.__class__.__name__ != "InProcessExecutor":
        assert round(100 * again[0].accuracy) > 1


def test_a_call_that_hangs_once_ends_well(tmp_path):
    with Workforce(lambda: local_executor(1)) as workforce:
        calls: Calls[str, int] = Calls(workforce, called.hang_at_first, limit={"short": 2.0}.get)
        calls.start("short", 1, tmp_path)
        assert list(calls.finished()) == []
        assert list(calls.finished()) == [("short", 1)]


def test_calls_come_out_as_lost_or_hung(tmp_path):
    with Workforce(lambda: local_executor(1)) as workforce:
        calls: Calls[int, int] = Calls(workforce, called.die_at_first)
        calls.start(0, 9, tmp_path, "killed")
        ((_, lost),) = calls.finished()
        assert isinstance(lost, Lost)
        assert "SIGKILL" in lost.how
        calls = Calls(workforce, called.sleep, limit=lambda _: 0.6)
        calls.start(0, 600.0)
        while not (ended := list(calls.finished())):
            pass
        ((_, hung),) = ended
        assert isinstance(hung, Hung)
        assert hung.attempts == 2
        assert 0.6 < hung.seconds < 30


def test_what_is_abandoned_is_stopped_and_the_workforce_goes_on():
    with Workforce(lambda: local_executor(1)) as workforce:
        calls: Calls[int, str] = Calls(workforce, called.sleep)
        calls.start(0, 600.0)
        calls.start(1, 600.0)
        assert list(calls.finished(timeout=0.1)) == []
        calls.abandon()
        assert len(calls) == 0
        calls.start(2, 0.0)
        assert list(calls.finished(timeout=60)) == [(2, "slept")]


def test_what_is_withdrawn_never_starts_and_the_rest_ends(tmp_path):
    with Workforce(lambda: local_executor(1)) as workforce:
        calls: Calls[int, None] = Calls(workforce, called.touch_slowly)
        for number in range(10):
            calls.start(number, tmp_path / f"{number}")
        ended = {number for number, _ in calls.finished()}
        calls.withdraw()
        while len(calls):
            ended.update(number for number, _ in calls.finished())
    assert ended == {int(path.name) for path in tmp_path.iterdir()}
    assert 1 <= len(ended) <= 3


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> ImageTask:
    task = make_task("digits", size=16, cache_dir=tmp_path_factory.mktemp("cache"))
    return replace(task, fidelity=Fidelity(epochs=1, resolution=16, samples=200))


NETWORKS = ("conv3 maxpool2 conv3", "conv5", "conv3(0) conv1(0) add(1,2)", "conv3 " * 4)


def comparable(outcome: Outcome) -> Outcome:
    return replace(outcome, metrics=replace(outcome.metrics, seconds=0.0, peak_memory=0))


def train(make: MakeExecutor, task: ImageTask) -> dict[int, Outcome]:
    with Workforce(make) as workforce:
        estimator = TrainingEstimator(training_profile("default"), device="cpu", threads=1)
        evaluations = Evaluations(estimator, workforce)
        for number, text in enumerate(NETWORKS):
            evaluations.start(number, request(text, task))
        return {number: comparable(outcome) for number, outcome in collect(evaluations).items()}


@pytest.fixture(scope="module")
def serial(digits) -> dict[int, Outcome]:
    from nasgym.executors import InProcessExecutor

    outcomes = train(InProcessExecutor, digits)
    assert len({outcome.accuracy for outcome in outcomes.values()}) > 1
    return outcomes


@pytest.mark.slow
@executors("pool", "small ray")
def test_trainings_come_out_alike_wherever_they_run(make: MakeExecutor, digits, serial):
    assert train(make, digits) == serial
    assert all(isinstance(outcome, Completed) for outcome in serial.values())
