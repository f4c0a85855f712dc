"""Look-ups in tables of a hundred to a million chains: by code, by canonical id, and one request at a time.

    python -m benchmarks.table_lookup --json table_lookup.json

The tables hold random chains of one to ten layers of seven operations with random accuracies, in a temporary folder
(`--folder` names another). Batches ask for random rows, nine of ten known. Figures are the best of several rounds on
one thread. The baseline of every figure is the same with a hundred networks. It takes about two minutes, most of it to
build the table of a million.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.reporting import Figure, Goal, arguments, publish
from nasgym.architectures import Architecture, Layer, Operation
from nasgym.core.randomness import stream
from nasgym.evaluation import Completed, EvaluationRequest, Metrics
from nasgym.evaluation.tables import Table, TableBuilder, TableDescription, TableTask, TabularBenchmark
from nasgym.tasks import Fidelity

SEED = 0
SIZES = (100, 10_000, 1_000_000)
BATCHES = (4_096, 1_000_000)
DEPTH = 10
KNOWN = 0.9
SINGLE = 2_000
"""Requests of the single form."""
OPERATIONS = (
    *((Operation.CONVOLUTION, kernel) for kernel in (1, 3, 5)),
    *((operation, kernel) for operation in (Operation.MAX_POOLING, Operation.AVERAGE_POOLING) for kernel in (2, 3)),
)
TASK = TableTask("benchmark", "fingerprint", (32, 32, 3), 10, Fidelity(12))
GOAL = Goal("value", "at least", 5.0)


@cache
def layer(place: int, choice: int) -> Layer:
    """Return the layer of choice `choice` after `place` others."""
    operation, kernel = OPERATIONS[choice]
    return Layer(operation, kernel, (place,))


def chains(count: int) -> list[Architecture]:
    """Return `count` distinct random chains."""
    generator = stream(SEED, "chains", count)
    found: dict[tuple[int, ...], None] = {}
    while len(found) < count:
        depths = generator.integers(1, DEPTH + 1, size=count)
        choices = generator.integers(len(OPERATIONS), size=(count, DEPTH))
        for depth, row in zip(depths.tolist(), choices.tolist(), strict=True):
            found.setdefault(tuple(row[:depth]))
    return [Architecture(tuple(map(layer, range(len(row)), row))) for row in list(found)[:count]]


def build(folder: Path, count: int) -> tuple[Table, float]:
    """Write a table of `count` chains; return it and how many networks were written a second."""
    networks = chains(count)
    accuracies = stream(SEED, "accuracies", count).random(count)
    builder = TableBuilder(TableDescription(f"{count} chains", (TASK,), "default", "random numbers"))
    started = time.perf_counter()
    for network, accuracy in zip(networks, accuracies.tolist(), strict=True):
        builder.add(network, TASK.fingerprint, 0, Completed(accuracy, Metrics(parameters=1000)))
    table = builder.write(folder / f"{count}.table")
    return table, count / (time.perf_counter() - started)


def millions_per_second(call: Callable[[NDArray[np.uint64]], object], questions: NDArray[np.uint64]) -> float:
    """Return how many million look-ups a second `call` answers, in the best of several rounds."""
    best = float("inf")
    for _ in range(max(5, 2_000_000 // len(questions))):
        started = time.perf_counter()
        call(questions)
        best = min(best, time.perf_counter() - started)
    return len(questions) / best / 1e6


def accuracies(table: Table, codes: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return the accuracy of each code; that of the last row for one that is not there."""
    found: NDArray[np.float64] = table.accuracies[0, 0].take(table.codes.rows(codes))
    return found


def questions(keys: NDArray[np.uint64], count: int) -> NDArray[np.uint64]:
    """Return `count` random keys, nine of ten known."""
    generator = stream(SEED, "questions", len(keys), count)
    asked = keys[generator.integers(len(keys), size=count)]
    strange = generator.random(count) > KNOWN
    asked[strange] = generator.integers(2**63, size=int(strange.sum()), dtype=np.uint64)
    return asked


def measure(folder: Path, count: int) -> dict[tuple[str, str, Goal | None], float]:
    """Return what is measured with `count` networks, by name, unit and goal."""
    table, written = build(folder, count)
    started = time.perf_counter()
    table = Table(table.path)
    opened = time.perf_counter() - started
    started = time.perf_counter()
    codes = table.codes
    indexed = time.perf_counter() - started
    columns = table.layout_arrays["words"]
    figures: dict[tuple[str, str, Goal | None], float] = {
        ("write", "networks/s", None): written,
        ("file", "bytes/network", None): table.path.stat().st_size / count,
        ("open and check", "ms", None): 1000 * opened,
        ("index by code", "ms", None): 1000 * indexed,
    }
    for batch in BATCHES:
        figures[f"rows by code, {batch:,} at a time", "million/s", GOAL] = millions_per_second(
            codes.rows, questions(codes.codes(columns), batch)
        )
        figures[f"rows by id, {batch:,} at a time", "million/s", GOAL] = millions_per_second(
            table.rows, questions(np.array(table.ids), batch)
        )
        figures[f"accuracies by code, {batch:,} at a time", "million/s", GOAL] = millions_per_second(
            partial(accuracies, table), questions(codes.codes(columns), batch)
        )
    benchmark = TabularBenchmark(table)
    rows = stream(SEED, "single", count).integers(count, size=SINGLE).tolist()
    requests = [EvaluationRequest.of(table.architecture(row), TASK.task) for row in rows]
    started = time.perf_counter()
    for request in requests:
        benchmark.evaluate(request)
    figures["one request at a time", "thousand/s", None] = SINGLE / (time.perf_counter() - started) / 1000
    return figures


def run(folder: Path, sizes: Sequence[int]) -> list[Figure]:
    """Return the figures of all sizes."""
    measured = {size: measure(folder, size) for size in sizes}
    smallest = measured[sizes[0]]
    return [
        Figure(
            f"{name}, {size:,} networks", value, unit, None if size == sizes[0] else smallest[name, unit, goal], goal
        )
        for size in sizes
        for (name, unit, goal), value in measured[size].items()
    ]


def main() -> None:
    """Run from the command line."""
    parser = arguments("table_lookup", __doc__)
    parser.add_argument("--folder", type=Path, help="where the tables are written")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="networks in the tables")
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="nasgym-tables-", dir=chosen.folder))
    try:
        figures = run(folder, chosen.sizes)
    finally:
        shutil.rmtree(folder)
    publish("table_lookup", figures, seeds=[SEED], json_file=chosen.json)


if __name__ == "__main__":
    main()
