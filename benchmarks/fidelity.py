"""The gate of BENCH A for fidelities: how well short trainings rank networks, against the noise of the full recipe.

    python -m benchmarks.fidelity collect --data FOLDER --store FILE # trains; resumes where it was stopped
    python -m benchmarks.fidelity export --data FOLDER --store FILE  # from the store into the table beside this file
    python -m benchmarks.fidelity report                             # verdicts from the table; trains nothing

The table holds learning curves only, no pixel: anyone recomputes every figure of docs/fidelity.md from it.
"""

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import torch

from benchmarks.fidelity_report import FULL_NAME, all_tables, renewed
from benchmarks.fidelity_table import TABLE, Curves, Training, read_table, write_table
from benchmarks.reporting import publish
from nasgym.architectures import Architecture, canonical, format_architecture, parse_architecture
from nasgym.architectures.spaces.loading import load_space
from nasgym.core.provenance import provenance
from nasgym.core.randomness import stream
from nasgym.evaluation import EvaluationRequest, Failed
from nasgym.evaluation.batches import evaluate_batch
from nasgym.evaluation.evaluator import Evaluator
from nasgym.evaluation.recipes import Profile, training_profile
from nasgym.evaluation.training import TrainingEstimator
from nasgym.executors.local import local_executor
from nasgym.networks.plan import plan
from nasgym.store import StoredEvaluation, open_store
from nasgym.strategies.random_search import RandomSearch
from nasgym.strategies.strategy import Sampler
from nasgym.tasks import Fidelity, ImageTask, Task, linear_baseline, make_task

SIDE = 32
SAMPLES = 720
SETS: dict[str, dict[str, object]] = {
    "dtd10": {"source": "dtd10/dtd10.tar.xz"},
    "sign_digits": {"source": "sign_digits/sign_digits.tar.xz"},
    "oracle_mnist": {"source": "oracle_mnist"},
    "traffic_sign": {"source": "traffic_sign/traffic_sign.tar.xz", "group_pattern": "{group}_*", "max_images": 3400},
}
"""Arguments of `make_task`: textures, hands, ancient characters and signs; `SAMPLES` training images of each."""
DEFAULT = training_profile("default")
FULL = replace(DEFAULT, search=DEFAULT.final)
"""The full recipe, asked as a search evaluation so that its validation curve is kept."""
MOST_FLOPS = 20e6
"""Networks of the gate cost at most so much an image."""


@dataclass(frozen=True, slots=True)
class Length:
    """One way of training: a recipe and a number of epochs."""

    profile: Profile
    epochs: int


FULL_LENGTH = Length(FULL, DEFAULT.final.epochs)
LENGTHS = (FULL_LENGTH, *(Length(DEFAULT, epochs) for epochs in (8, 16, 4, 2, 1)))


def networks(n: int) -> list[Architecture]:
    """Return `n` random chains with a convolution: one from each of `n` classes of planned cost, in random order."""
    task = Task("gate", "gate", (SIDE, SIDE, 3), 10)
    search = RandomSearch(Sampler(load_space("chain"), task, DEFAULT.network), seed=0)
    drawn: list[tuple[int, str, Architecture]] = []
    while len(drawn) < 16 * n:
        architecture = search.propose()
        assert architecture is not None
        flops = plan(architecture, task.input_shape, task.n_classes, DEFAULT.network).flops
        if flops <= MOST_FLOPS and "conv" in format_architecture(architecture):
            drawn.append((flops, format_architecture(architecture), architecture))
    drawn.sort(key=lambda entry: entry[:2])
    generator = stream(0, "gate", "networks")
    chosen = [drawn[16 * number + int(generator.integers(16))][2] for number in range(n)]
    return [chosen[number] for number in generator.permutation(n)]


def requests(
    tasks: list[ImageTask], n_networks: int, n_seeds: int, lengths: tuple[Length, ...]
) -> Iterator[tuple[Length, EvaluationRequest]]:
    """Yield every training of the gate, so ordered that a part of them says as much as it can.

    Two seeds of one network after another, in all ways that the first seed needs; then further seeds, and last what is
    left of the short trainings.
    """
    first, rest = lengths[:2], lengths[2:]
    passes = [
        [(0, lengths), (1, first)],
        *([(seed, first)] for seed in range(2, n_seeds)),
        [(seed, rest) for seed in range(1, n_seeds)],
    ]
    for part in passes:
        for architecture, (seed, now), task in product(networks(n_networks), part, tasks):
            for length in now if seed < n_seeds else ():
                yield length, EvaluationRequest(architecture, task, Fidelity(length.epochs, SIDE, SAMPLES), seed)


def gate_task(name: str, data: Path, cache: Path | None) -> ImageTask:
    """Return the task called `name`, of the data sets in folder `data`."""
    settings = dict(SETS[name])
    source = data / "images" / str(settings.pop("source"))
    return make_task(source, size=SIDE, cache_dir=cache, name=name, **settings)  # type: ignore[arg-type]  # settings are data


def collect(options: argparse.Namespace) -> None:
    """Train what the store does not hold yet."""
    tasks = [gate_task(name, options.data, options.cache) for name in options.sets]
    lengths = tuple(Length(DEFAULT, epochs) for epochs in options.epochs) if options.epochs else LENGTHS
    with open_store(options.store) as store:
        evaluators = {
            id(length): Evaluator(TrainingEstimator(length.profile, device="cpu", threads=1), store)
            for length in lengths
        }
        asked = [
            (evaluators[id(length)], request)
            for length, request in requests(tasks, options.networks, options.seeds, lengths)
        ]
        executor = local_executor(options.workers)
        try:
            for start in range(0, len(asked), 240):
                evaluate_batch(asked[start : start + 240], executor)
                print(f"{min(start + 240, len(asked))} of {len(asked)}", flush=True)
        finally:
            executor.shutdown(wait=False, cancel_futures=True)


def export(options: argparse.Namespace) -> None:
    """Write what the store holds of the gate into the table: the networks that two seeds have trained on every set."""
    recipes = {
        TrainingEstimator(DEFAULT, device="cpu").fingerprint: "search",
        TrainingEstimator(FULL, device="cpu").fingerprint: FULL_NAME[0],
    }
    texts = [format_architecture(canonical(one, DEFAULT.network.leaves)) for one in networks(options.networks)]
    with open_store(options.store, create=False) as store:
        trainings = [
            _training(row, recipes[row.key.estimator])
            for row in store.evaluations()
            if row.key.estimator in recipes and row.architecture in texts and row.key.samples == SAMPLES
        ]
    trainings = _of_complete_networks(trainings)
    trainings.sort(key=lambda one: (list(SETS).index(one.task), one.recipe, one.epochs, one.seed, one.network))
    tasks = [gate_task(name, options.data, options.cache) for name in {one.task: None for one in trainings}]
    linear = {task.name: round(linear_baseline(task).validation or 0.0, 4) for task in tasks}
    found = sorted({one.network for one in trainings})
    seconds = {text: round(_seconds_per_epoch(text, tasks[0]), 4) for text in found}
    made_by = f"{provenance().hardware['processor']}, one thread, torch {torch.__version__}"
    write_table(Curves(tuple(trainings), linear, seconds, made_by), options.table)
    print(f"{len(trainings)} trainings of {len(found)} networks in {options.table}")


def _of_complete_networks(trainings: list[Training]) -> list[Training]:
    known: dict[str, set[tuple[str, str, int, int]]] = {}
    for one in trainings:
        known.setdefault(one.network, set()).add((one.task, one.recipe, one.epochs, one.seed))
    tasks = {one.task for one in trainings}
    names = [("search" if length.profile is DEFAULT else FULL_NAME[0], length.epochs) for length in LENGTHS]
    needed = {(task, *name, seed) for task in tasks for seed in (0, 1) for name in names[:2]}
    return [one for one in trainings if needed <= known[one.network]]


def _training(row: StoredEvaluation, recipe: str) -> Training:
    metrics = row.outcome.metrics
    failed = isinstance(row.outcome, Failed)
    return Training(
        task=row.task,
        network=row.architecture,
        seed=row.key.seed,
        recipe=recipe,
        epochs=row.key.epochs,
        flops=metrics.flops,
        parameters=metrics.parameters,
        train_losses=metrics.train_losses,
        validation_losses=metrics.validation_losses,
        accuracies=(0.0,) * row.key.epochs if failed else metrics.validation_accuracies,
    )


def _seconds_per_epoch(network: str, task: ImageTask) -> float:
    """Return the processor time of one epoch, the lower of two measurements of two epochs each."""
    estimator = TrainingEstimator(DEFAULT, device="cpu", threads=1)
    request = EvaluationRequest(parse_architecture(network), task, Fidelity(2, SIDE, SAMPLES), seed=0)
    measured = []
    for _ in range(2):
        started = time.process_time()
        estimator.evaluate(request)
        measured.append((time.process_time() - started) / 2)
    return min(measured)


def report(options: argparse.Namespace) -> None:
    """Print every table of docs/fidelity.md, and the gate's figures."""
    curves = read_table(options.table)
    print(f"{len(curves.trainings)} trainings of {len(curves.networks)} networks; {curves.made_by}")
    tables, figures = all_tables(curves)
    print("\n", "\n\n".join(tables), "\n", sep="")
    if options.page is not None:
        options.page.write_text(renewed(options.page.read_text(encoding="utf-8"), tables), encoding="utf-8")
    publish("fidelity", figures, seeds=curves.seeds(curves.tasks[0], FULL_NAME), json_file=options.json)


def main() -> None:
    """Read the arguments and follow one of the commands."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fidelity", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(required=True)
    collecting, exporting, reporting = (
        commands.add_parser(call.__name__, help=call.__doc__) for call in (collect, export, report)
    )
    for command, call in ((collecting, collect), (exporting, export), (reporting, report)):
        command.set_defaults(call=call)
    for command in (collecting, exporting):
        command.add_argument("--data", type=Path, default=Path(os.environ.get("NASGYM_SHARED_DATA", "../shared/data")))
        command.add_argument("--cache", type=Path, default=None, help="folder for decoded images")
        command.add_argument("--store", required=True, help="file or URL of the store")
        command.add_argument("--networks", type=int, default=64)
    collecting.add_argument("--sets", nargs="*", choices=SETS, default=list(SETS)[:3])
    collecting.add_argument("--seeds", type=int, default=3)
    collecting.add_argument("--epochs", nargs="*", type=int, default=[], help="other lengths than the gate's own")
    collecting.add_argument("--workers", type=int, default=2)
    for command in (exporting, reporting):
        command.add_argument("--table", type=Path, default=TABLE)
    reporting.add_argument("--page", type=Path, metavar="FILE", help="renew the tables of this Markdown page")
    reporting.add_argument(
        "--json", type=Path, metavar="FILE", help="write the figures with versions and hardware here"
    )
    options = parser.parse_args()
    options.call(options)


if __name__ == "__main__":
    main()
