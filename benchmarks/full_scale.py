"""How long the paper's experiments take at full scale, and how much memory: 84 x 84 pixels, profile `paper`, one core.

Times one training step, the validation of an image and everything before the first step, for chains by hand and for
networks that uniform walks meet, each in a process of its own, one at a time. From these and the sizes of the sets of
meta-dataset it computes what an evaluation takes, and what the stages of configs/paper/experiment-*.toml take, final
trainings aside, if their agents repeat themselves as little as uniform walks do. Stages on the same set share what they
train.

    python -m benchmarks.full_scale --data FOLDER [--cache FOLDER] [--networks 24] [--json FILE]
"""

import math
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np
import torch

from benchmarks.reporting import Figure, arguments, publish
from nasgym.architectures import architecture_id, parse_architecture
from nasgym.architectures.spaces import SearchSpace, load_space
from nasgym.core.randomness import stream
from nasgym.envs.positions import PositionTree, Stop
from nasgym.evaluation.final import FinalTraining, train_final
from nasgym.evaluation.hardware import PeakMemory
from nasgym.evaluation.learners import learner_of
from nasgym.evaluation.recipes import training_profile
from nasgym.evaluation.training import TrainingImages, course_of, initial_network
from nasgym.experiments.stages.config import read_experiment
from nasgym.networks.plan import plan
from nasgym.networks.profiles import NAMED_ARCHITECTURES
from nasgym.report.statistics import bootstrap_interval
from nasgym.tasks import Fidelity, ImageTask, Task, make_task

P = ParamSpec("P")
T = TypeVar("T")
SIDE, EPOCHS, SEED = 84, 12, 0
CPU = torch.device("cpu")
CONFIGS = Path(__file__).parents[1] / "configs" / "paper"
SETS = {
    "omniglot": 32_460,
    "vgg_flower": 8_189,
    "dtd": 5_640,
    "aircraft": 10_000,
    "cu_birds": 11_788,
    "traffic_sign": 39_209,
}
"""Images of each set; 67 % of them are trained on."""
CHAINS = (
    "conv3",
    "conv3 maxpool2 conv3 maxpool2",
    "conv5 maxpool3 conv1 conv5 conv1 conv5 conv1 maxpool2 avgpool3",
)
"""The largest heads, a usual one, and the paper's best of figure 18a, of nine layers."""
FINALS = (
    ("conv3 conv5 maxpool2 maxpool2", "paper-intensive"),
    (str(NAMED_ARCHITECTURES["vgg19-like"].architecture), "vgg19-like"),
)
"""What is trained more intensively: the paper's best on aircraft, and the one by hand."""


@dataclass(frozen=True)
class Cost:
    """What a network costs.

    Attributes:
        setup: seconds of processor time before the first step.
        step: of a step, at its batch size.
        image: of the validation of an image.
        batch_size: images in a step.
        memory: highest resident set, bytes.
    """

    setup: float
    step: float
    image: float
    batch_size: int
    memory: int

    def seconds(self, images: int, epochs: int = EPOCHS) -> float:
        """Return what an evaluation takes on a set of so many images."""
        train = round(0.67 * images)
        steps = math.ceil(train / self.batch_size)
        return self.setup + epochs * (steps * self.step + (images - train) * self.image)


def cost(task: ImageTask, text: str) -> Cost:
    """Measure a network of the search, in a fresh process."""
    torch.set_num_threads(1)
    memory, profile = PeakMemory(CPU), training_profile("paper")
    images = TrainingImages.of(task, Fidelity(EPOCHS, SIDE), profile.search, CPU)
    started = time.process_time()
    architecture = parse_architecture(text)
    network = initial_network(plan(architecture, task.input_shape, task.n_classes, profile.network), SEED, CPU)
    course = course_of(architecture, profile.search, images.scaling, SEED)
    learner = learner_of(network, profile.search, images.scaling.on(CPU), course.batch_size)
    setup, steps = time.process_time() - started, []
    for _ in range(3):
        started = time.process_time()
        learner.step(images.train.pixels, images.train.labels, torch.arange(course.batch_size), 1e-3)
        steps.append(time.process_time() - started)
    started = time.process_time()
    learner.score(images.validation)
    image = (time.process_time() - started) / len(images.validation)
    return Cost(setup, min(steps), image, course.batch_size, memory.read())


def final_cost(task: ImageTask, text: str, profile: str) -> tuple[float, int]:
    """Return processor time and highest resident set of one epoch of a final training, in a fresh process."""
    memory, started = PeakMemory(CPU), time.process_time()
    how = FinalTraining(epochs=1, device="cpu", threads=1)
    train_final(task, parse_architecture(text), training_profile(profile), SEED, how=how)
    return time.process_time() - started, memory.read()


def walked(space: SearchSpace, task: Task, steps: int, walk: int) -> Iterator[str]:
    """Yield the networks that a uniform walk of so many steps meets."""
    tree = PositionTree(space, task, training_profile("paper").network)
    actions = stream(SEED, "walk", walk).integers(len(space.actions), size=steps)
    position, length = tree.start(), 0
    for action in actions.tolist():
        position, length = tree.step(position, action), length + 1
        if position.stop not in (Stop.ILLEGAL, Stop.INVALID) and position.text:
            yield position.text
        if position.stop is not None or length == 2 * space.max_layers:
            position, length = tree.start(), 0


def distinct(space: SearchSpace, task: Task, stages: Sequence[int]) -> tuple[list[str], float]:
    """Return the networks that stages of so many steps have to train, and the share beyond the cap of all they meet."""
    profile, found, beyond = training_profile("paper").network, dict[str, str](), set[str]()
    for walk, steps in enumerate(stages):
        for text in walked(space, task, steps, walk):
            architecture = parse_architecture(text)
            key = architecture_id(architecture, profile.leaves)
            if key not in found and key not in beyond:
                if plan(architecture, task.input_shape, task.n_classes, profile).exceeds_cap:
                    beyond.add(key)
                else:
                    found[key] = text
    return list(found.values()), len(beyond) / (len(found) + len(beyond))


def alone(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what a call comes to in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(call, *args, **kwargs).result()


def of_chains(task: ImageTask) -> Iterator[Figure]:
    """Yield what the chains by hand cost."""
    for text in CHAINS:
        one = cost_of(task, text)
        yield Figure(f"{text}: set-up", one.setup, "s")
        yield Figure(f"{text}: step of {one.batch_size} images", one.step, "s")
        yield Figure(f"{text}: validation", 1000 * one.image, "ms/image")
        yield Figure(f"{text}: memory", one.memory / 2**30, "GiB")
        for name, images in SETS.items():
            yield Figure(f"{text}: evaluation on {name}", one.seconds(images) / 60, "min")


def of_finals(task: ImageTask) -> Iterator[Figure]:
    """Yield what final trainings cost."""
    images = len(task.split.train)
    for text, profile in FINALS:
        seconds, memory = alone(final_cost, task, text, profile)
        yield Figure(f"{text} by {profile}: an epoch of {images} images, set-up and scores included", seconds, "s")
        yield Figure(f"{text} by {profile}: memory", memory / 2**30, "GiB")


def of_experiment(task: ImageTask, number: int, n_networks: int, known: dict[str, list[Cost]]) -> Iterator[Figure]:
    """Yield what the stages of an experiment cost, by networks drawn among those they have to train.

    Args:
        task: to measure on.
        number: of the experiment.
        n_networks: to draw.
        known: what networks of each space cost, where another experiment has measured it.
    """
    config = read_experiment(CONFIGS / f"experiment-{number}.toml")
    space = load_space(config.environment.space or "chain", max_layers=config.environment.max_layers)
    total = 0.0
    for name, images in SETS.items():
        stages = [stage.steps for stage in config.stages.values() if name in stage.tasks and hasattr(stage, "steps")]
        if not stages:
            continue
        met, beyond = distinct(space, Task(name, name, (SIDE, SIDE, 3), task.n_classes), stages)
        if space.kind not in known:
            drawn = np.random.default_rng(SEED).choice(len(met), min(n_networks, len(met)), replace=False)
            known[space.kind] = [cost_of(task, met[place]) for place in drawn]
        seconds = [one.seconds(images) for one in known[space.kind]]
        mean = bootstrap_interval(seconds, lambda drawn: drawn.mean(axis=-1))
        days = len(met) * mean.estimate / 86_400
        total += days
        yield Figure(f"experiment {number}, {name}: networks", len(met), f"in {sum(stages):,} steps")
        yield Figure(f"experiment {number}, {name}: beyond the cap", 100 * beyond, "% of those met")
        yield Figure(f"experiment {number}, {name}: mean evaluation", mean.estimate / 60, "min")
        yield Figure(f"experiment {number}, {name}: lower end of its 95 % interval", mean.low / 60, "min")
        yield Figure(f"experiment {number}, {name}: upper end", mean.high / 60, "min")
        yield Figure(f"experiment {number}, {name}: all", days, "core-days")
    yield Figure(f"experiment {number}: all", total, "core-days")


def cost_of(task: ImageTask, text: str) -> Cost:
    """Measure a network of the search in a process of its own."""
    found = alone(cost, task, text)
    print(f"{text}: {found}", flush=True)
    return found


def main() -> None:
    """Read the arguments, measure, report."""
    parser = arguments("full_scale", __doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("NASGYM_SHARED_DATA", "../shared/data")))
    parser.add_argument("--cache", type=Path, default=None, help="folder for decoded images")
    parser.add_argument("--networks", type=int, default=24, help="drawn for each experiment")
    options = parser.parse_args()
    source = options.data / "images" / "flowers5" / "flowers5.tar.xz"
    task = make_task(source, size=SIDE, cache_dir=options.cache, fractions=(0.67, 0.33, 0), max_per_class=60)
    known: dict[str, list[Cost]] = {}
    found = [
        *of_chains(task),
        *of_finals(task),
        *(figure for number in (1, 2, 3) for figure in of_experiment(task, number, options.networks, known)),
    ]
    publish("full_scale", found, seeds=(SEED,), json_file=options.json)


if __name__ == "__main__":
    main()
