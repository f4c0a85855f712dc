"""Small made-up searches to report on."""

from dataclasses import replace

import pytest

from nasgym.architectures import LeafMerge, architecture_id, parse_architecture
from nasgym.evaluation import Completed, Failed, FailureKind, Metrics
from nasgym.networks.plan import plan
from nasgym.networks.profiles import DEFAULT
from nasgym.report.search_report import (
    Baseline,
    Candidate,
    DroppedFile,
    Finalist,
    FinalTest,
    RunFacts,
    SearchReport,
    SearchSettings,
    TaskSummary,
)
from nasgym.tasks import Budget, Fidelity

NAMES = ("rose", "tulip", "<script>alert(1)</script>")
SHAPE = (32, 32, 3)
TEXTS = ("conv3", "maxpool2", "conv3 maxpool2", "conv3(0) conv5(0) add(1,2)", "conv3 conv3 maxpool2 conv3")
SCORES = (0.5, 0.4, 0.7, 0.65, 0.8)


def candidate(number: int, text: str, score: float, *, from_store: bool = False) -> Candidate:
    architecture = parse_architecture(text)
    network = plan(architecture, SHAPE, len(NAMES), DEFAULT)
    metrics = Metrics(
        validation_accuracies=(score / 2, score), seconds=10.0, parameters=network.parameters, flops=network.flops
    )
    identity = architecture_id(architecture, LeafMerge.TOGETHER)
    return Candidate(number, text, identity, Completed(score, metrics), network.memory, from_store)


def failure(number: int, kind: FailureKind, message: str) -> Candidate:
    return Candidate(number, f"maxpool{number}", f"failed-{number}", Failed(kind, message))


def finalist(one: Candidate, accuracy: float) -> Finalist:
    metrics = replace(one.outcome.metrics, validation_accuracies=(0.3, 0.6, accuracy))
    return Finalist(
        one.architecture, one.architecture_id, one.accuracy or 0.0, Completed(accuracy, metrics), one.memory
    )


@pytest.fixture
def finished() -> SearchReport:
    """Five networks evaluated, three failed, two promoted, one tested."""
    completed = tuple(candidate(number, *pair) for number, pair in enumerate(zip(TEXTS, SCORES, strict=True), start=1))
    failed = (
        failure(6, FailureKind.INVALID, "Layer 1 needs <b>more</b> pixels."),
        failure(7, FailureKind.INVALID, "Layer 1 needs <b>more</b> pixels."),
        failure(8, FailureKind.DIVERGED, "The loss became NaN."),
    )
    best, second = completed[4], completed[2]
    return SearchReport(
        task=TaskSummary("flowers & co", NAMES, 300, 60, 60, SHAPE, (DroppedFile("a/<i>.jpg", "truncated"),), "f00d"),
        settings=SearchSettings(
            command="nasgym search 'my <folder>' --evaluations 8 --seed 3",
            strategy="random",
            space="multi-branch",
            profile=DEFAULT,
            fidelity=Fidelity(8),
            seed=3,
            budget=Budget(parameters=50_000),
            evaluations=8,
            final_epochs=40,
        ),
        run=RunFacts(125.0, (("nasgym", "0.1.0"), ("torch", "2.13.0")), "2 processors", created="1 May 2026"),
        candidates=completed + failed,
        finalists=(finalist(best, 0.9), finalist(second, 0.85)),
        test=FinalTest(best.architecture_id, 0.85, ((18, 2, 0), (3, 16, 1), (0, 3, 17)), "runs/a b/best.pt"),
        baselines=(
            Baseline("random network", 0.6, 0.58, "conv3", 500, 4000),
            Baseline("linear model", 0.4, 0.39),
        ),
    )


@pytest.fixture
def interrupted(finished: SearchReport) -> SearchReport:
    """The same search, stopped before any network was promoted."""
    return replace(finished, finalists=(), test=None, baselines=(), run=replace(finished.run, interrupted=True))


@pytest.fixture
def fruitless(interrupted: SearchReport) -> SearchReport:
    """A search in which every network failed."""
    failed = tuple(one for one in interrupted.candidates if one.accuracy is None)
    return replace(interrupted, candidates=failed, run=replace(interrupted.run, interrupted=False))


@pytest.fixture
def empty(interrupted: SearchReport) -> SearchReport:
    """A search that was stopped before its first outcome."""
    return replace(interrupted, candidates=())
