"""What the `default` profile rests on: recipes, network rules, fidelities and final trainings, measured on real sets.

    python -m benchmarks.profiles search   # variants of the search recipe and of the network, over two networks
    python -m benchmarks.profiles fidelity # rank agreement of short trainings with the final one, over random chains
    python -m benchmarks.profiles final    # variants of the final recipe
    python -m benchmarks.profiles speed    # images a second against eager PyTorch with a DataLoader

`--sets` and `--only` choose. Every training runs on one thread. The data sets are those described in docs/profiles.md,
found in the folder that `--data` or NASGYM_SHARED_DATA names.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy.stats import kendalltau
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.reporting import Figure, arguments, publish
from nasgym.architectures import Augmentation, parse_architecture
from nasgym.core.errors import PlanError
from nasgym.core.randomness import stream
from nasgym.data import Part
from nasgym.evaluation import Completed, EvaluationRequest
from nasgym.evaluation.final import FinalTraining, TrainedNetwork, score_on_test_images, train_final
from nasgym.evaluation.recipes import Adam, OneCycle, Precision, Profile, Recipe, Sgd, Weights, training_profile
from nasgym.evaluation.training import TrainingEstimator
from nasgym.networks.build import build
from nasgym.networks.plan import plan
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
        n_chains: random networks whose ranks are compared.
    """

    tasks: dict[str, ImageTask]
    epochs: int
    seeds: tuple[int, ...]
    n_chains: int

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


def random_chains(n: int, seed: int, side: int = 32) -> list[str]:
    """Return `n` distinct chains of 2 to 8 operations with a convolution that exist at `side` pixels."""
    generator = stream(seed, "benchmark", "chains")
    words = ("conv1", "conv3", "conv5", "maxpool2", "maxpool3", "avgpool2", "avgpool3")
    chains: list[str] = []
    while len(chains) < n:
        chain = " ".join(generator.choice(words, size=generator.integers(2, 9)))
        try:
            plan(parse_architecture(chain), (side, side, 3), 10, DEFAULT.network)
        except PlanError:
            continue
        if "conv" in chain and chain not in chains:
            chains.append(chain)
    return chains


def _test_accuracy(trained: TrainedNetwork, task: ImageTask) -> float:
    score = score_on_test_images(trained, task)
    return score.accuracy if score else 0.0


def fidelity(bench: Bench, only: Sequence[str]) -> Iterator[Figure]:
    """Rank agreement (Kendall τ) of search evaluations with final trainings judged on the test images."""
    chains = random_chains(bench.n_chains, seed=0)
    lengths = [int(word) for word in only] or [2, 4, 8, 12]
    for task in bench.tasks.values():
        final = [
            train_final(task, parse_architecture(chain), DEFAULT, 7, how=FinalTraining(threads=1, device="cpu"))
            for chain in chains
        ]
        truth = [_test_accuracy(trained, task) for trained in final]
        yield Figure(f"{task.name}: final training", sum(trained.seconds for trained in final), "s")
        for epochs in lengths:
            answers = [bench.search(DEFAULT, chain, task, bench.seeds[0], epochs) for chain in chains]
            accuracies = [answer[0] for answer in answers]
            chosen = truth[int(np.argmax(accuracies))]
            yield Figure(f"{task.name}: {epochs} epochs, Kendall τ", float(kendalltau(accuracies, truth)[0]), "")
            yield Figure(f"{task.name}: {epochs} epochs, final test of its first choice", chosen, "", max(truth))
            yield Figure(f"{task.name}: {epochs} epochs, seconds", sum(answer[1] for answer in answers), "s")


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


def speed(bench: Bench, only: Sequence[str]) -> Iterator[Figure]:
    """Images a second of processor time in training: ours against eager fp32 PyTorch, NCHW, a DataLoader of tensors.

    Processor time of the one thread, so that other work on the machine weighs little; validation included.
    """
    del only
    task = bench.tasks["cifar10"]
    network = "conv3 conv3 maxpool2 " * 3
    epochs, n = 2, len(task.indices(Part.TRAIN))
    eager, ours = [], []
    for _ in range(5):
        eager.append(n * epochs / _eager_seconds(task, network, DEFAULT.search, epochs))
        started = time.process_time()
        bench.search(DEFAULT, network, task, 0, epochs)
        ours.append(n * epochs / (time.process_time() - started))
    print(f"  eager {[round(value) for value in eager]}, ours {[round(value) for value in ours]} images/s")
    yield Figure("training with validation, one thread", float(np.median(ours)), "images/s", float(np.median(eager)))


def _eager_seconds(task: ImageTask, network: str, recipe: Recipe, epochs: int) -> float:
    """Train and validate as a PyTorch tutorial would; return the seconds without the preparation of the tensors."""
    torch.set_num_threads(1)
    planned = plan(parse_architecture(network), task.input_shape, task.n_classes, DEFAULT.network)
    model: nn.Module = build(planned, torch.Generator().manual_seed(0))
    train, validation = (
        TensorDataset(
            torch.from_numpy(task.images(part)).permute(0, 3, 1, 2).contiguous().float() / 255,
            torch.from_numpy(task.labels(part)),
        )
        for part in (Part.TRAIN, Part.VALIDATION)
    )
    loader = DataLoader(train, batch_size=recipe.batch_size, shuffle=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, total_steps=epochs * len(loader))
    started = time.process_time()
    for _ in range(epochs):
        model.train()
        for images, labels in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
            schedule.step()
        model.eval()
        with torch.no_grad():
            for images, labels in DataLoader(validation, batch_size=512):
                model(images).argmax(1).eq(labels).sum().item()
    return time.process_time() - started


MEASUREMENTS = {"search": search, "fidelity": fidelity, "final": final, "speed": speed}


def main() -> None:
    """Read the arguments, measure, report."""
    parser = arguments("profiles", __doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("measurement", choices=MEASUREMENTS)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("NASGYM_SHARED_DATA", "../shared/data")))
    parser.add_argument("--sets", nargs="*", choices=SETS, default=list(SETS))
    parser.add_argument("--only", nargs="*", default=[], help="variants by name; for `fidelity`, numbers of epochs")
    parser.add_argument("--epochs", type=int, default=DEFAULT.search.epochs, help="of a search evaluation")
    parser.add_argument("--chains", type=int, default=16, help="random chains of `fidelity`")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=None, help="folder for decoded images")
    options = parser.parse_args()
    tasks = {}
    for name in options.sets:
        settings = dict(SETS[name])
        source = options.data / "images" / str(settings.pop("source"))
        tasks[name] = make_task(source, size=32, cache_dir=options.cache, name=name, **settings)  # type: ignore[arg-type]  # settings are data
    bench = Bench(tasks, options.epochs, tuple(range(options.seeds)), options.chains)
    figures = list(MEASUREMENTS[options.measurement](bench, options.only))
    publish(f"profiles {options.measurement}", figures, seeds=bench.seeds, json_file=options.json)


if __name__ == "__main__":
    main()
