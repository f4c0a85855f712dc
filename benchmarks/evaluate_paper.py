"""The `paper` profile in compiled bf16 code against torch in fp32: speed, and whether the accuracies are the same.

Random networks, half chains and half multi-branch, on dtd10 and sign_digits; each is trained by both, one after the
other, one thread, and once more by torch with another seed: how much two seeds differ is what a difference between the
two is to be held against. Differences of accuracy are paired by network and seed; their intervals are bootstrapped
over networks. Rates count training images (validation, initial weights and everything else included) by processor time.

    python -m benchmarks.evaluate_paper --data FOLDER [--networks 24] [--size 20] [--epochs 6] [--json FILE]
"""

import os
import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import kendalltau

from benchmarks.reporting import Figure, Goal, arguments, publish
from nasgym.architectures import Architecture, format_architecture
from nasgym.architectures.spaces import load_space
from nasgym.core.randomness import stream
from nasgym.data import Part
from nasgym.evaluation import Completed, EvaluationRequest
from nasgym.evaluation.learners import native_code
from nasgym.evaluation.recipes import Precision, training_profile
from nasgym.evaluation.training import TrainingEstimator
from nasgym.networks.profiles import PAPER
from nasgym.strategies import RandomSearch, Sampler
from nasgym.tasks import Fidelity, ImageTask, make_task

SETS = ("dtd10", "sign_digits")
SPACES = ("chain", "multi-branch")
SEED = 0
RESAMPLES = 2000
COMPILED = training_profile("paper")
EXACT = replace(COMPILED, search=replace(COMPILED.search, precision=Precision.FLOAT32))


@dataclass(frozen=True)
class Trained:
    """One network on one set, by both.

    Attributes:
        ours: accuracy by the compiled code.
        theirs: by torch in fp32, same seed.
        again: by torch, another seed.
        seconds: of processor time: ours, torch's.
        images: that each trained on, epochs included.
        branches: whether it is multi-branch.
    """

    ours: float
    theirs: float
    again: float
    seconds: tuple[float, float]
    images: int
    branches: bool


def networks(task: ImageTask, count: int) -> list[Architecture]:
    """Return `count` networks as random search proposes them, one of each space in turn."""
    searches = [RandomSearch(Sampler(load_space(space), task, PAPER), SEED) for space in SPACES]
    drawn = [searches[number % len(searches)].propose() for number in range(count)]
    return [architecture for architecture in drawn if architecture is not None]


def trained(task: ImageTask, architecture: Architecture, fidelity: Fidelity) -> Trained:
    """Train one network three times."""
    accuracies, seconds = [], []
    for profile, seed in ((COMPILED, SEED), (EXACT, SEED), (EXACT, SEED + 1)):
        started = time.process_time()
        estimator = TrainingEstimator(profile, device="cpu", threads=1)
        outcome = estimator.evaluate(EvaluationRequest(architecture, task, fidelity, seed))
        seconds.append(time.process_time() - started)
        assert isinstance(outcome, Completed), outcome
        accuracies.append(outcome.accuracy)
    images = fidelity.epochs * len(task.labels(Part.TRAIN))
    print(f"{task.name} {format_architecture(architecture)}: {accuracies}, {seconds[0]:.2f} and {seconds[1]:.2f} s")
    return Trained(*accuracies, (seconds[0], seconds[1]), images, architecture.is_multi_branch)


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the mean."""
    draws = stream(SEED, "evaluate-paper", "bootstrap").integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.percentile(values[draws].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)


def figures(name: str, rows: list[Trained]) -> list[Figure]:
    """Return what is published of one set."""
    ours, theirs, again = (100 * np.array([getattr(row, side) for row in rows]) for side in ("ours", "theirs", "again"))
    low, high = interval(ours - theirs)
    found = [
        Figure(f"{name}: mean accuracy", float(ours.mean()), "%", float(theirs.mean())),
        Figure(f"{name}: mean difference", float((ours - theirs).mean()), "points"),
        Figure(f"{name}: lower end of its 95 % interval", low, "points", goal=Goal("value", "at most", 0.0)),
        Figure(f"{name}: upper end", high, "points", goal=Goal("value", "at least", 0.0)),
        Figure(f"{name}: mean absolute difference", float(abs(ours - theirs).mean()), "points"),
        Figure(f"{name}: the same between two seeds of torch", float(abs(again - theirs).mean()), "points"),
        Figure(f"{name}: Kendall's τ with torch", float(kendalltau(ours, theirs).statistic), ""),
        Figure(f"{name}: the same between two seeds of torch", float(kendalltau(again, theirs).statistic), ""),
    ]
    for kind, some in (
        ("chains", [row for row in rows if not row.branches]),
        ("multi-branch", [row for row in rows if row.branches]),
        ("all", rows),
    ):
        if some:
            rates = [sum(row.images for row in some) / sum(row.seconds[side] for row in some) for side in (0, 1)]
            per_hour = [3600 * len(some) / sum(row.seconds[side] for row in some) for side in (0, 1)]
            median = statistics.median(row.seconds[1] / row.seconds[0] for row in some)
            found += [
                Figure(f"{name}, {kind}: rate", rates[0], "images/s", rates[1]),
                Figure(f"{name}, {kind}: networks", per_hour[0], "networks/core-h", per_hour[1]),
                Figure(f"{name}, {kind}: median of the ratios of single networks", median, "times"),
            ]
    return found


def main() -> None:
    """Read the arguments, measure, report."""
    parser = arguments("evaluate_paper", __doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("NASGYM_SHARED_DATA", "../shared/data")))
    parser.add_argument("--cache", type=Path, default=None, help="folder for decoded images")
    parser.add_argument("--networks", type=int, default=24)
    parser.add_argument("--size", type=int, default=20, help="side of the images, pixels")
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if native_code(COMPILED.search, torch.device("cpu")) is None:
        raise SystemExit("The compiled code is not available here.")
    found = []
    for name in SETS:
        task = make_task(options.data / "images" / name, size=options.size, cache_dir=options.cache)
        fidelity = Fidelity(options.epochs, options.size)
        rows = [trained(task, architecture, fidelity) for architecture in networks(task, options.networks)]
        found += figures(name, rows)
    publish("evaluate_paper", found, seeds=(SEED, SEED + 1), json_file=options.json)


if __name__ == "__main__":
    main()
