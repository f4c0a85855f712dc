"""The paper's best networks (arXiv 1911.03769, figures 18 to 20) among random networks of their space, on our sets.

    python -m benchmarks.paper_networks collect --data FOLDER --store FILE  # trains; resumes where it was stopped
    python -m benchmarks.paper_networks report                              # ranks from the table; trains nothing

All are trained by the `paper` profile at the smallest size at which each of the seven exists. The table holds
accuracies only, no pixel: anyone recomputes every figure of docs/paper-networks.md from it.
"""

import argparse
import os
from collections.abc import Iterator
from itertools import count, product
from pathlib import Path

from benchmarks.fidelity_report import renewed
from benchmarks.paper_networks_report import (
    RANDOM,
    TABLE,
    Row,
    Trainings,
    figure,
    mean_percentile,
    rank_table,
    read_trainings,
    set_table,
    write_trainings,
)
from benchmarks.reporting import Figure, publish
from nasgym.architectures import Architecture, format_architecture, parse_architecture
from nasgym.architectures.spaces.loading import load_space
from nasgym.core.errors import PlanError
from nasgym.core.provenance import provenance
from nasgym.evaluation import Completed, EvaluationRequest
from nasgym.evaluation.batches import evaluate_batch
from nasgym.evaluation.evaluator import Evaluation, Evaluator
from nasgym.evaluation.recipes import training_profile
from nasgym.evaluation.training import TrainingEstimator
from nasgym.executors.local import local_executor
from nasgym.networks.plan import plan
from nasgym.networks.profiles import PAPER
from nasgym.report.experiment_paper import PaperNetwork, read_paper
from nasgym.report.svg import standalone_svg
from nasgym.store import open_store
from nasgym.strategies.random_search import RandomSearch
from nasgym.strategies.strategy import Sampler
from nasgym.tasks import Fidelity, ImageTask, Task, make_task

SETS: dict[str, dict[str, object]] = {
    "omniglot": {"source": "omniglot/images_background_small1.zip"},
    "dtd10": {"source": "dtd10/dtd10.tar.xz"},
    "flowers5": {"source": "flowers5/flowers5.tar.xz", "max_images": 2200},
    "sign_digits": {"source": "sign_digits/sign_digits.tar.xz"},
    "traffic_sign": {"source": "traffic_sign/traffic_sign.tar.xz", "group_pattern": "{group}_*", "max_images": 2200},
}
"""Arguments of `make_task`, by name."""


def paper_networks() -> tuple[PaperNetwork, ...]:
    """Return the best networks of figures 18 to 20: those of experiments 1 and 2, all chains."""
    return tuple(one for one in read_paper().networks if not one.figure.startswith("21"))


def smallest_side(networks: list[Architecture]) -> int:
    """Return the side in pixels of the smallest square image on which each of `networks` exists."""
    return next(side for side in count(1) if all(_exists(one, side) for one in networks))


def _exists(architecture: Architecture, side: int) -> bool:
    try:
        plan(architecture, (side, side, 3), 10, PAPER)
    except PlanError:
        return False
    return True


def random_networks(n: int, side: int) -> list[Architecture]:
    """Return `n` random chains that exist on images of this side: depth uniform, distinct canonical ids (SPEC §6)."""
    task = Task("any", "any", (side, side, 3), 10)
    search = RandomSearch(Sampler(load_space("chain"), task, PAPER), seed=0)
    drawn = [search.propose() for _ in range(n)]
    return [architecture for architecture in drawn if architecture is not None]


def candidates(n: int, side: int) -> Iterator[tuple[str, Architecture]]:
    """Yield origin and architecture: those of the paper, then `n` random ones."""
    for one in paper_networks():
        yield one.figure, parse_architecture(one.architecture)
    for architecture in random_networks(n, side):
        yield RANDOM, architecture


def collect(options: argparse.Namespace) -> None:
    """Train what the store does not hold yet; write the table after every set."""
    side = smallest_side([parse_architecture(one.architecture) for one in paper_networks()])
    tasks = [_task(name, side, options) for name in options.sets]
    fidelity = Fidelity(options.epochs, side, options.samples)
    estimator = TrainingEstimator(training_profile("paper"), device="cpu", threads=1)
    about = {
        "side": side,
        "epochs": options.epochs,
        "samples": options.samples,
        "estimator": estimator.fingerprint,
        "processor": str(provenance().hardware["processor"]),
    }
    rows: list[Row] = []
    with open_store(options.store) as store:
        evaluator, executor = Evaluator(estimator, store), local_executor(options.workers)
        try:
            for seed, task in product(range(options.seeds), tasks):
                chosen = list(candidates(options.networks, side))
                asked = [(evaluator, EvaluationRequest(one, task, fidelity, seed)) for _, one in chosen]
                answers = evaluate_batch(asked, executor)
                rows += [_row(task, seed, *one, answer) for one, answer in zip(chosen, answers, strict=True)]
                write_trainings(Trainings(tuple(rows), about), options.table)
                print(f"seed {seed}, {task.name}: {len(chosen)} networks", flush=True)
        finally:
            executor.shutdown(wait=False, cancel_futures=True)


def _row(task: Task, seed: int, origin: str, architecture: Architecture, answer: Evaluation) -> Row:
    outcome = answer.outcome
    return Row(
        set=task.name,
        origin=origin,
        network=format_architecture(architecture),
        seed=seed,
        parameters=outcome.metrics.parameters,
        flops=outcome.metrics.flops,
        accuracy=round(outcome.accuracy, 4) if isinstance(outcome, Completed) else 0.0,
    )


def _task(name: str, side: int, options: argparse.Namespace) -> ImageTask:
    settings = dict(SETS[name])
    source = options.data / "images" / str(settings.pop("source"))
    return make_task(source, size=side, cache_dir=options.cache, name=name, **settings)  # type: ignore[arg-type]  # settings are data


def report(options: argparse.Namespace) -> None:
    """Print the tables of docs/paper-networks.md, and renew page and figure where asked to."""
    trainings = read_trainings(options.table)
    tables = (rank_table(trainings), set_table(trainings))
    print(trainings.about, "\n", "\n\n".join(tables), "\n", sep="\n")
    if options.page is not None:
        options.page.write_text(renewed(options.page.read_text(encoding="utf-8"), tables), encoding="utf-8")
    if options.figure is not None:
        options.figure.write_text(standalone_svg(figure(trainings)), encoding="utf-8")
    found = mean_percentile(trainings, trainings.origins, trainings.sets)
    figures = [
        Figure("mean percentile of the paper's networks among random ones", found.estimate, "share", 0.5),
        Figure("the same, lower end of the 95 % interval", found.low, "share", 0.5),
        Figure("the same, upper end", found.high, "share", 0.5),
    ]
    publish("paper_networks", figures, seeds=trainings.seeds, json_file=options.json)


def main() -> None:
    """Read the arguments and follow one of the commands."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paper_networks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(required=True)
    collecting, reporting = (commands.add_parser(call.__name__, help=call.__doc__) for call in (collect, report))
    collecting.set_defaults(call=collect)
    reporting.set_defaults(call=report)
    for command in (collecting, reporting):
        command.add_argument("--table", type=Path, default=TABLE)
    collecting.add_argument("--data", type=Path, default=Path(os.environ.get("NASGYM_SHARED_DATA", "../shared/data")))
    collecting.add_argument("--cache", type=Path, default=None, help="folder for decoded images")
    collecting.add_argument("--store", required=True, help="file or URL of the store")
    collecting.add_argument("--sets", nargs="*", choices=SETS, default=list(SETS))
    collecting.add_argument("--networks", type=int, default=50, help="random ones")
    collecting.add_argument("--epochs", type=int, default=12)
    collecting.add_argument("--samples", type=int, default=1300, help="training images of each set, at most")
    collecting.add_argument("--seeds", type=int, default=1)
    collecting.add_argument("--workers", type=int, default=1)
    reporting.add_argument("--page", type=Path, metavar="FILE", help="renew the tables of this Markdown page")
    reporting.add_argument("--figure", type=Path, metavar="FILE", help="write the figure here, as SVG")
    reporting.add_argument(
        "--json", type=Path, metavar="FILE", help="write the figures with versions and hardware here"
    )
    options = parser.parse_args()
    options.call(options)


if __name__ == "__main__":
    main()
