"""Networks that fail for real reasons, in the middle of others that do not."""

import resource
from dataclasses import replace
from pathlib import Path

import pytest
from called import request

from nasgym.evaluation import Completed, Failed, FailureKind, Outcome
from nasgym.evaluation.recipes import training_profile
from nasgym.evaluation.training import TrainingEstimator
from nasgym.executors import Evaluations, Workforce, local_executor
from nasgym.tasks import Fidelity, ImageTask, make_task

ROOM = 200 * 2**20
"""Bytes that a worker may take beyond what it has."""


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> ImageTask:
    task = make_task("digits", size=16, cache_dir=tmp_path_factory.mktemp("cache"))
    return replace(task, fidelity=Fidelity(epochs=1, resolution=16, samples=100))


def cap_memory() -> None:
    """Let this process grow by `ROOM` and no more."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def evaluate(workforce: Workforce, estimator: TrainingEstimator, texts: list[str], task: ImageTask) -> list[Outcome]:
    evaluations = Evaluations(estimator, workforce)
    for number, text in enumerate(texts):
        evaluations.start(number, request(text, task))
    outcomes: dict[int, Outcome] = {}
    while len(evaluations):
        outcomes.update({number: outcome for number, _, outcome in evaluations.finished()})
    return [outcomes[number] for number in range(len(texts))]


@pytest.mark.slow
def test_a_network_that_memory_is_too_small_for_fails_and_the_next_completes(digits):
    estimator = TrainingEstimator(training_profile("default"), device="cpu", threads=1)
    large = replace(digits, fidelity=Fidelity(epochs=1, resolution=512, samples=40))
    with Workforce(lambda: local_executor(1)) as workforce:
        (before,) = evaluate(workforce, estimator, ["conv3"], digits)
        workforce.submit(cap_memory).result()
        (failed,) = evaluate(workforce, estimator, ["conv3 conv3 conv3"], large)
        (after,) = evaluate(workforce, estimator, ["conv3"], digits)
    assert isinstance(failed, Failed)
    assert failed.kind is FailureKind.OUT_OF_MEMORY
    assert isinstance(before, Completed)
    assert isinstance(after, Completed)
    assert after.accuracy == before.accuracy


@pytest.mark.slow
def test_a_network_whose_loss_is_no_number_fails_and_its_worker_goes_on(digits):
    profile = training_profile("default")
    wild = replace(profile.search, learning_rate=1e30)
    estimator = TrainingEstimator(replace(profile, search=wild), device="cpu", threads=1)
    with Workforce(lambda: local_executor(1)) as workforce:
        outcomes = evaluate(workforce, estimator, ["conv3", "conv3 conv3"], digits)
        (after,) = evaluate(workforce, TrainingEstimator(profile, device="cpu", threads=1), ["conv3"], digits)
    assert [outcome.kind for outcome in outcomes if isinstance(outcome, Failed)] == [FailureKind.DIVERGED] * 2
    assert isinstance(after, Completed)
