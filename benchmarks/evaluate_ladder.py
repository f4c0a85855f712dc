"""What each step from plain PyTorch to the compiled code buys: images a second of processor time, one thread.

One epoch of 2,000 training images and 1,000 validation images of CIFAR-10 at 32 px, batch 32, for a large, a middling
and a small network; the rungs are interleaved, the best of several runs counts. With `--profile paper` the same images
train networks of that profile: torch in fp32, torch in bf16, compiled code.

    python -m benchmarks.evaluate_ladder --data FOLDER [--profile paper] [--repeats 3] [--json FILE]
"""

import math
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from benchmarks import baseline_pytorch
from benchmarks.evaluate import export
from benchmarks.evaluate_networks import SEED, cifar
from benchmarks.reporting import Figure, arguments, publish
from nasgym.architectures import parse_architecture
from nasgym.evaluation.learners import Learner, TorchLearner, learner_of
from nasgym.evaluation.recipes import Precision, Profile, training_profile
from nasgym.evaluation.training import TrainingImages, course_of, initial_network
from nasgym.networks.plan import plan
from nasgym.tasks import Fidelity, ImageTask

NETWORKS = (
    "conv3 conv3 maxpool2 conv3 conv3 maxpool2 conv3 conv3 maxpool2",
    "conv5 maxpool3 conv5 conv1 maxpool3",
    "conv1 maxpool3 conv3 avgpool2 avgpool2",
)
PAPER_NETWORKS = (
    "conv3 conv3",
    "conv3 maxpool2",
    "conv3 conv3 maxpool2 conv3",
    "conv3 maxpool2 conv3 maxpool2",
    "conv3(0) maxpool2(0) conv3(2) conv1(1)",
    "conv3(0) maxpool2(1) conv5(2) maxpool3(2) concat(3,4)",
)
CPU = torch.device("cpu")


def ours(task: ImageTask, profile: Profile, text: str, *, compiled: bool) -> None:
    """Train one network for an epoch by one of our learners, and score it."""
    recipe, architecture = profile.search, parse_architecture(text)
    images = TrainingImages.of(task, Fidelity(1, 32), recipe, CPU)
    network = initial_network(plan(architecture, task.input_shape, task.n_classes, profile.network), SEED, CPU)
    course = course_of(architecture, recipe, images.scaling, SEED)
    scaler = images.scaling.on(CPU)
    learner: Learner = TorchLearner(network, recipe, scaler)
    if compiled:
        learner = learner_of(network, recipe, scaler, course.batch_size)
        if isinstance(learner, TorchLearner):
            raise SystemExit("The compiled code is not available here.")
    rows = torch.randperm(len(images.train), generator=torch.Generator().manual_seed(SEED))
    steps = math.ceil(len(rows) / course.batch_size)
    for number, batch in enumerate(torch.tensor_split(rows, steps)):
        learner.step(images.train.pixels, images.train.labels, batch, recipe.learning_rate_at(number, steps, steps))
    learner.score(images.validation)


def default_rungs(task: ImageTask) -> dict[str, Callable[[str], object]]:
    """Return the rungs of the default profile."""
    with tempfile.TemporaryDirectory() as folder:
        export(task, Path(folder) / "images.npz")
        decoded = baseline_pytorch.decoded(Path(folder) / "images.npz")
    baseline_pytorch.EPOCHS = 1
    profile = training_profile("default")
    return {
        "fp32, NCHW, DataLoader": lambda text: baseline_pytorch.trained(text, decoded, 0, False),
        "channels last, bf16": lambda text: baseline_pytorch.trained(text, decoded, 0, True),
        "uint8 resident, cut by index, fused AdamW": partial(ours, task, profile, compiled=False),
        "compiled code": partial(ours, task, profile, compiled=True),
    }


def paper_rungs(task: ImageTask) -> dict[str, Callable[[str], object]]:
    """Return those of the paper's profile."""
    profile = training_profile("paper")
    exact = replace(profile, search=replace(profile.search, precision=Precision.FLOAT32))
    return {
        "torch, fp32": partial(ours, task, exact, compiled=False),
        "torch, bf16": partial(ours, task, profile, compiled=False),
        "compiled code": partial(ours, task, profile, compiled=True),
    }


def seconds(rung: Callable[[str], object], text: str) -> float:
    """Return the processor time that `rung` takes for one network."""
    started = time.process_time()
    rung(text)
    return time.process_time() - started


def main() -> None:
    """Read the arguments, measure, report."""
    parser = arguments("evaluate_ladder", __doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("NASGYM_SHARED_DATA", "../shared/data")))
    parser.add_argument("--cache", type=Path, default=None, help="folder for decoded images")
    parser.add_argument("--profile", choices=("default", "paper"), default="default")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    task = cifar(options.data, options.cache)
    paper = options.profile == "paper"
    rungs, networks = (paper_rungs(task), PAPER_NETWORKS) if paper else (default_rungs(task), NETWORKS)
    figures = []
    for text in networks:
        times: dict[str, list[float]] = {name: [] for name in rungs}
        for _ in range(options.repeats):
            for name, rung in rungs.items():
                times[name].append(seconds(rung, text))
        first = 2000 / min(times[next(iter(rungs))])
        figures += [Figure(f"{text}: {name}", 2000 / min(times[name]), "images/s", first) for name in rungs]
    publish("evaluate_ladder", figures, seeds=(SEED,), json_file=options.json)


if __name__ == "__main__":
    main()
