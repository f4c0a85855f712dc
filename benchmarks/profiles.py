"""What the `default` profile rests on: recipes, network rules and final trainings, measured on real sets.

    python -m benchmarks.profiles search   # variants of the search recipe and of the network, over two networks
    python -m benchmarks.profiles final    # variants of the final recipe

`--sets` and `--only` choose. Every training runs on one thread. The data sets are those described in docs/profiles.md,
found in the folder that `--data` or NASGYM_SHARED_DATA names.
"""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.reporting import Figure, arguments, publish
from nasgym.architectures import Augmentation, parse_architecture
from nasgym.evaluation import Completed, EvaluationRequest
from nasgym.evaluation.final import FinalTraining, TrainedNetwork, score_on_test_images, train_final
from nasgym.evaluation.recipes import Adam, OneCycle, Precision, Profile, Sgd, Weights, training_profile
from nasgym.evaluation.training import TrainingEstimator
from nasgym.networks.profiles import PoolingHead
from nasgym.tasks import Fidelity, ImageTask, make_task

SETS: dict[str, dict[str, object]] = {
    "omniglot": {"source": "omniglot"},
    "dtd10": {"source": "dtd10/dtd10.tar.xz"},
    "flowers5": {"source": "flowers5/flowers5.tar.xz"},
    "sign_digits": {"source": "sign_digits/sign_digits.tar.xz"},
    "traffic_sign": {"source": "traffic_sign/traffic_sign.tar.xz", "group_pattern": "{group}_*", "max_images": 3400},
    "cifar10": {"source": "cifar10/cifar10_test.tar.xz", "max_images": 3400},
    "oracle_mnist": {"source": "oracle_mnist"},
}
"""Arguments of `make_task`, all at 32 px; about 2,000 training images each (dtd10 has 720)."""
NETWORKS = ("conv3 maxpool2 conv3 conv3 maxpool2 conv3 maxpool2 conv3", "conv5 maxpool3 conv3 avgpool2 conv3")
"""A good network and a cheap one."""
DEFAULT = training_profile("default")
Variants = dict[str, Callable[[Profile], Profile]]


def searching(**changes: object) -> Callable[[Profile], Profile]:
    """Return what changes the search recipe of a profile."""
    return lambda profile: replace(profile, search=replace(profile.search, **changes))


def built(**changes: object) -> Callable[[Profile], Profile]:
    """Return what changes the network rules of a profile."""
    return lambda profile: replace(profile, network=replace(profile.network, **changes))


def finishing(**changes: object) -> Callable[[Profile], Profile]:
    """Return what changes the final recipe of a profile."""
    return lambda profile: replace(profile, final=replace(profile.final, **changes))


def _rate(rate: float) -> Callable[[Profile], Profile]:
    return searching(learning_rate=rate)


SEARCH_VARIANTS: Variants = {
    "default": lambda profile: profile,
    "learning rate / 2": lambda profile: _rate(profile.search.learning_rate / 2)(profile),
    "learning rate / 4": lambda profile: _rate(profile.search.learning_rate / 4)(profile),
    "learning rate × 2": lambda profile: _rate(profile.search.learning_rate * 2)(profile),
    "average pooling only": built(head=PoolingHead()),
    "SGD 0.05": searching(optimizer=Sgd(weight_decay=5e-4), learning_rate=0.05),
    "SGD 0.02": searching(optimizer=Sgd(weight_decay=5e-4), learning_rate=0.02),
    "weight decay 0": searching(optimizer=Adam()),
    "weight decay × 6": searching(optimizer=Adam(weight_decay=0.3)),
    "batch 16": searching(batch_size=16, branch_batch_size=16),
    "batch 64": searching(batch_size=64, branch_batch_size=64),
    "label smoothing 0.1": searching(label_smoothing=0.1),
    "warm-up 0.1": searching(schedule=OneCycle(warm_up=0.1)),
    "random shift": searching(augmentation=Augmentation.SHIFT),
    "fp32": searching(precision=Precision.FLOAT32),
    "base width 8": built(base_width=8),
    "base width 24": built(base_width=24),
    "base width 32": built(base_width=32),
    "dropout 0.3": built(head=PoolingHead(dropout=0.3, maxima=True)),
    "paper recipe": lambda profile: replace(profile, search=training_profile("paper").search),
}


@dataclass(frozen=True)
class Bench:
    """What all measurements share.

    Attributes:
        tasks: by name.
        epochs: of a search evaluation.
        seeds: evaluation seeds.
    """

    tasks: dict[str, ImageTask]
    epochs: int
    seeds: tuple[int, ...]

    def search(self, profile: Profile, network: str, task: ImageTask, seed: int, epochs: int) -> tuple[float, float]:
        """Return accuracy and seconds of one search evaluation; 0 for a failure."""
        estimator = TrainingEstimator(profile, device="cpu", threads=1)
        fidelity = Fidelity(epochs=epochs, resolution=task.input_shape[0])
        outcome = estimator.evaluate(EvaluationRequest(parse_architecture(network), task, fidelity, seed))
        return outcome.accuracy if isinstance(outcome, Completed) else 0.0, outcome.metrics.seconds


def search(bench: Bench, only: Sequence[str]) -> Iterator[Figure]:
    """Validation accuracy of every variant, averaged over networks, sets and seeds, against the default."""
    baseline: float | None = None
    for name, change in SEARCH_VARIANTS.items():
        if only and name not in only:
            continue
        answers = {
            (network, task.name, seed): bench.search(change(DEFAULT), network, task, seed, bench.epochs)
            for network in NETWORKS
            for task in bench.tasks.values()
            for seed in bench.seeds
        }
        accuracy = float(np.mean([answer[0] for answer in answers.values()]))
        for network in NETWORKS:
            each = {
                task: float(np.mean([answers[network, task, seed][0] for seed in bench.seeds])) for task in bench.tasks
            }
            print(f"  {name:22s} {' '.join(f'{task} {value:.3f}' for task, value in each.items())}", flush=True)
        yield Figure(f"{name}: accuracy", accuracy, "", baseline)
        yield Figure(f"{name}: training", sum(answer[1] for answer in answers.values()), "s")
        baseline = accuracy if baseline is None else baseline


def _test_accuracy(trained: TrainedNetwork, task: ImageTask) -> float:
    score = score_on_test_images(trained, task)
    return score.accuracy if score else 0.0


FINAL_VARIANTS: Variants = {
    "default": lambda profile: profile,
    "as in the search": lambda profile: replace(profile, final=replace(profile.search, epochs=profile.final.epochs)),
    "no augmentation": finishing(augmentation=Augmentation.NONE),
    "shift and flip": finishing(augmentation=Augmentation.SHIFT_FLIP),
    "no label smoothing": finishing(label_smoothing=0.0),
    "best epoch": finishing(weights=Weights.BEST),
    "15 epochs": finishing(epochs=15),
    "60 epochs": finishing(epochs=60),
    "learning rate / 2": lambda profile: finishing(learning_rate=profile.final.learning_rate / 2)(profile),
    "weight decay × 4": finishing(optimizer=Adam(weight_decay=0.2)),
    "dropout 0.3": built(head=PoolingHead(dropout=0.3, maxima=True)),
    "average pooling only": built(head=PoolingHead()),
    "base width 24": built(base_width=24),
    "base width 32": built(base_width=32),
}


def final(bench: Bench, only: Sequence[str]) -> Iterator[Figure]:
    """Test accuracy of variants of the final recipe on the good network."""
    baseline: float | None = None
    architecture = parse_architecture(NETWORKS[0])
    how = FinalTraining(threads=1, device="cpu")
    for name, change in FINAL_VARIANTS.items():
        if only and name not in only:
            continue
        trained = {
            task.name: [train_final(task, architecture, change(DEFAULT), seed, how=how) for seed in bench.seeds]
            for task in bench.tasks.values()
        }
        each = {
            task: float(np.mean([_test_accuracy(one, bench.tasks[task]) for one in many]))
            for task, many in trained.items()
        }
        print(f"  {name:22s} {' '.join(f'{task} {value:.3f}' for task, value in each.items())}", flush=True)
        accuracy = float(np.mean(list(each.values())))
        yield Figure(f"{name}: test accuracy", accuracy, "", baseline)
        yield Figure(f"{name}: training", sum(one.seconds for many in trained.values() for one in many), "s")
        baseline = accuracy if baseline is None else baseline


MEASUREMENTS = {"search": search, "final": final}


def main() -> None:
    """Read the arguments, measure, report."""
    parser = arguments("profiles", __doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("measurement", choices=MEASUREMENTS)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("NASGYM_SHARED_DATA", "../shared/data")))
    parser.add_argument("--sets", nargs="*", choices=SETS, default=list(SETS))
    parser.add_argument("--only", nargs="*", default=[], help="variants by name")
    parser.add_argument("--epochs", type=int, default=DEFAULT.search.epochs, help="of a search evaluation")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=None, help="folder for decoded images")
    options = parser.parse_args()
    tasks = {}
    for name in options.sets:
        settings = dict(SETS[name])
        source = options.data / "images" / str(settings.pop("source"))
        tasks[name] = make_task(source, size=32, cache_dir=options.cache, name=name, **settings)  # type: ignore[arg-type]  # settings are data
    bench = Bench(tasks, options.epochs, tuple(range(options.seeds)))
    figures = list(MEASUREMENTS[options.measurement](bench, options.only))
    publish(f"profiles {options.measurement}", figures, seeds=bench.seeds, json_file=options.json)


if __name__ == "__main__":
    main()
