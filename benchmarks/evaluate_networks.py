"""The 64 networks of `benchmarks.evaluate`: half drawn at random, half found by evolution, from cheap to dear.

`python -m benchmarks.evaluate_networks --data FOLDER` makes `evaluate_networks.json` again. Both halves come from the
chain and the multi-branch space alike. Random search draws; regularised evolution has each network trained for one
epoch on 500 images, and its later proposals count. Each half is sorted by planned FLOPs, cut into 32 strata of
equal count, and gives the middle network of each.
"""

import argparse
import json
import os
from itertools import chain
from pathlib import Path

from nasgym.architectures import Architecture, format_architecture
from nasgym.architectures.spaces import load_space
from nasgym.evaluation import EvaluationRequest
from nasgym.evaluation.recipes import training_profile
from nasgym.evaluation.rewards import AccuracyReward
from nasgym.evaluation.training import TrainingEstimator
from nasgym.networks.plan import plan
from nasgym.networks.profiles import DEFAULT
from nasgym.strategies import RandomSearch, RegularisedEvolution, Sampler
from nasgym.tasks import Fidelity, ImageTask, make_task

FILE = Path(__file__).with_name("evaluate_networks.json")
SPACES = ("chain", "multi-branch")
RANDOM = 400
EVOLVED = 120
STRATA = 32
SEED = 0


def cifar(data: Path, cache: Path | None) -> ImageTask:
    """Return 2,000 training and 1,000 validation images of CIFAR-10 at 32 px, evenly from the classes."""
    return make_task(
        data / "images" / "cifar10",
        size=32,
        max_images=3000,
        official=False,
        fractions=(2 / 3, 1 / 3, 0.0),
        cache_dir=cache,
    )


def flops(architecture: Architecture) -> int:
    """Return the planned FLOPs for one image of 32 px, ten classes."""
    return plan(architecture, (32, 32, 3), 10, DEFAULT).flops


def drawn(space: str, task: ImageTask) -> list[Architecture]:
    """Return what random search proposes first."""
    strategy = RandomSearch(Sampler(load_space(space), task, DEFAULT), SEED)
    return [architecture for _ in range(RANDOM) if (architecture := strategy.propose()) is not None]


def evolved(space: str, task: ImageTask) -> list[Architecture]:
    """Return the later half of what evolution proposes."""
    strategy = RegularisedEvolution(Sampler(load_space(space), task, DEFAULT), SEED)
    estimator, reward = TrainingEstimator(training_profile("default"), device="cpu", threads=1), AccuracyReward()
    proposals = []
    for _ in range(EVOLVED):
        architecture = strategy.propose()
        assert architecture is not None
        outcome = estimator.evaluate(EvaluationRequest(architecture, task, Fidelity(1, 32, samples=500), SEED))
        strategy.feedback(architecture, reward(outcome))
        proposals.append(architecture)
    return proposals[EVOLVED // 2 :]


def stratified(pool: list[Architecture]) -> list[Architecture]:
    """Return the middle network of each stratum of planned cost."""
    pool = sorted(pool, key=lambda architecture: (flops(architecture), format_architecture(architecture)))
    return [pool[(2 * number + 1) * len(pool) // (2 * STRATA)] for number in range(STRATA)]


def main() -> None:
    """Make the list and write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evaluate_networks", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("NASGYM_SHARED_DATA", "../shared/data")))
    parser.add_argument("--cache", type=Path, default=None, help="folder for decoded images")
    options = parser.parse_args()
    task = cifar(options.data, options.cache)
    halves = {
        maker.__name__: stratified(list(chain.from_iterable(maker(space, task) for space in SPACES)))
        for maker in (drawn, evolved)
    }
    rows = [
        {"architecture": format_architecture(architecture), "flops": flops(architecture), "from": name}
        for name, architectures in halves.items()
        for architecture in architectures
    ]
    rows.sort(key=lambda row: row["flops"])  # type: ignore[arg-type, return-value] # a number
    FILE.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
