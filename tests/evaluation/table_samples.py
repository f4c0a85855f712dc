"""Small tables, and what was put into them."""

import itertools
from collections.abc import Iterable
from pathlib import Path

from nasgym.architectures import Architecture, parse_architecture
from nasgym.evaluation import EvaluationRequest, Failed, FailureKind
from nasgym.evaluation.tables import Table, TableBuilder, TableDescription, TableTask
from nasgym.tasks import Fidelity, Task
from nasgym.testing.closed_form import ClosedFormEstimator

LETTERS = TableTask("letters", "data-1", (28, 28, 1), 26, Fidelity(4, 28), seeds=(0, 1))
LEAVES = TableTask("leaves", "data-2", (32, 32, 3), 5, Fidelity(2, 32, 100), seeds=(7,), test="20 epochs")
ESTIMATOR = ClosedFormEstimator()
DIVERGES = parse_architecture("conv3 conv3 conv3")

CHAINS = tuple(
    parse_architecture(" ".join(words) or "empty")
    for depth in range(4)
    for words in itertools.product(("conv3", "conv5", "maxpool2"), repeat=depth)
)
GRAPHS = tuple(
    map(
        parse_architecture,
        (
            "empty",
            "conv3 maxpool2 conv3",
            "conv1 maxpool2",
            "conv3(0) conv1(0) add(1,2)",
            "conv3(0) conv3(1) concat(2,1) maxpool2(0)",
        ),
    )
)


def description(*tasks: TableTask) -> TableDescription:
    return TableDescription("sample", tasks or (LETTERS, LEAVES), "default", ESTIMATOR.fingerprint, "tests", "MIT")


def request(architecture: Architecture, task: TableTask, seed: int | None = None) -> EvaluationRequest:
    return EvaluationRequest(architecture, task.task, task.fidelity, task.seeds[0] if seed is None else seed)


def sample_table(file: Path, architectures: Iterable[Architecture], *, score: float = 0.5) -> Table:
    """Write what the closed form says of `architectures` on both tasks; `DIVERGES` does, with seed 1 of letters."""
    builder = TableBuilder(description())
    for architecture in architectures:
        for task in (LETTERS, LEAVES):
            for seed in task.seeds:
                outcome = ESTIMATOR.evaluate(request(architecture, task, seed))
                if architecture == DIVERGES and seed == 1:
                    outcome = Failed(FailureKind.DIVERGED, "NaN", outcome.metrics)
                builder.add(architecture, task.fingerprint, seed, outcome)
        builder.add_test(architecture, LEAVES.fingerprint, score)
    return builder.write(file)


def other_task(task: TableTask) -> Task:
    return Task("coins", "data-3", task.input_shape, task.n_classes, fidelity=task.fidelity)
