"""Final training: the few networks that a search promotes, trained longer, their weights kept."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from nasgym.architectures import Architecture, canonical
from nasgym.core.errors import ConfigurationError
from nasgym.core.randomness import torch_seed
from nasgym.data import Part
from nasgym.evaluation.fitting import Epoch, fit
from nasgym.evaluation.hardware import isolated, torch_device
from nasgym.evaluation.images import Scaling, resident
from nasgym.evaluation.learners import score
from nasgym.evaluation.recipes import Precision, Profile, Weights
from nasgym.evaluation.scores import Score
from nasgym.evaluation.training import TrainingImages, course_of, initial_network
from nasgym.networks.build import build
from nasgym.networks.plan import Plan, plan
from nasgym.tasks import Fidelity, ImageTask


@dataclass(frozen=True)
class FinalTraining:
    """How a final training is run, beside its profile.

    Attributes:
        epochs: passes over the training images; `None` for the recipe's own number.
        time_limit: seconds; the training plans as many epochs, up to `epochs` and at least one, as end in time.
            The learning rate then comes down at the end all the same. `None` for no limit.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        threads: of torch's operators on a CPU; `None` leaves them as they are.
    """

    epochs: int | None = None
    time_limit: float | None = None
    device: str = "auto"
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.epochs is not None and self.epochs < 1:
            raise ConfigurationError(f"A final training needs at least one epoch, got epochs={self.epochs}.")
        if self.time_limit is not None and self.time_limit <= 0:
            raise ConfigurationError(f"time_limit must be above 0 seconds, got {self.time_limit:g}.")


@dataclass(frozen=True)
class TrainedNetwork:
    """A network with its weights and what they reach.

    Attributes:
        plan: what it was built from.
        weights: parameters and running statistics by name, on the CPU.
        scaling: what it sees of a pixel.
        class_names: one name a class.
        validation: on the task's validation images, in fp32; it chose among epochs where the recipe keeps the best.
        epochs: one entry an epoch, in the recipe's own precision.
        kept_epoch: whose weights these are; 1 is the first.
        seconds: wall-clock time.
        seed: of the training.
    """

    plan: Plan = field(repr=False)
    weights: dict[str, Tensor] = field(repr=False)
    scaling: Scaling
    class_names: tuple[str, ...]
    validation: Score
    epochs: tuple[Epoch, ...]
    kept_epoch: int
    seconds: float
    seed: int


def train_final(
    task: ImageTask,
    architecture: Architecture,
    profile: Profile,
    seed: int = 0,
    *,
    how: FinalTraining | None = None,
    after_epoch: Callable[[int, int, Epoch], None] | None = None,
) -> TrainedNetwork:
    """Train the canonical form of `architecture` on all training images of `task` by the final recipe of `profile`.

    Args:
        task: gives the images, at its own resolution.
        architecture: what to train.
        profile: how.
        seed: of weights, order, dropout and augmentation.
        how: length, time limit and hardware.
        after_epoch: told the number of epochs behind, the number planned, and the latest.

    Raises:
        PlanError: the architecture cannot exist on this task, or exceeds the safety cap.
        TrainingFailedError: the loss became infinite or NaN.
    """
    started = time.monotonic()
    how = how or FinalTraining()
    device = torch_device(how.device)
    recipe = profile.final
    planned = plan(canonical(architecture, profile.network.leaves), task.input_shape, task.n_classes, profile.network)
    pace = Pace(how.epochs or recipe.epochs, started, how.time_limit)
    fidelity = Fidelity(epochs=pace.epochs, resolution=task.input_shape[0])
    with isolated(device, how.threads, torch_seed(seed, "dropout")):
        images = TrainingImages.of(task, fidelity, recipe, device)
        network = initial_network(planned, seed, device)
        course = course_of(planned.architecture, recipe, images.scaling, seed)
        epochs: list[Epoch] = []
        kept, weights = 0, dict[str, Tensor]()
        for epoch in fit(network, images.train, images.validation, course, planned=pace.planned):
            epochs.append(epoch)
            best = max(past.validation.accuracy for past in epochs)
            if recipe.weights is Weights.BEST and epoch.validation.accuracy >= best:
                kept, weights = len(epochs), _weights(network)
            if after_epoch is not None:
                after_epoch(len(epochs), pace.planned(len(epochs)), epoch)
        if recipe.weights is Weights.BEST:
            network.load_state_dict(weights)
        else:
            kept, weights = len(epochs), network.state_dict()  # no copy: those of large networks take gigabytes
        return TrainedNetwork(
            plan=planned,
            weights={name: value.detach().cpu() for name, value in weights.items()},
            scaling=images.scaling,
            class_names=task.class_names,
            validation=score(network, images.validation, images.scaling.on(device), Precision.FLOAT32),
            epochs=tuple(epochs),
            kept_epoch=kept,
            seconds=time.monotonic() - started,
            seed=seed,
        )


class Pace:
    """Plans a number of epochs that ends in time.

    Args:
        epochs: at most so many.
        started: reading of `time.monotonic` at the start.
        time_limit: seconds from then; `None` for no limit.
    """

    def __init__(self, epochs: int, started: float, time_limit: float | None) -> None:
        self.epochs = epochs
        self._first = started
        self._end = math.inf if time_limit is None else started + time_limit

    def planned(self, behind: int) -> int:
        """Return the number of epochs in all, now that `behind` of them are over."""
        now = time.monotonic()
        if behind == 0:
            self._first = now
        if behind == 0 or math.isinf(self._end):
            return self.epochs
        seconds_per_epoch = (now - self._first) / behind
        left = max(0, math.floor((self._end - now) / max(seconds_per_epoch, 1e-9)))
        return min(self.epochs, behind + left)


def _weights(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def score_on_test_images(trained: TrainedNetwork, task: ImageTask) -> Score | None:
    """Return what `trained` reaches on the task's test images, in fp32 on the CPU; `None` where there are none.

    For reporting only: nothing may be chosen by it.
    """
    labels = task.labels(Part.TEST)
    if not len(labels):
        return None
    device = torch.device("cpu")
    network = build(trained.plan, torch.Generator())
    network.load_state_dict(trained.weights)
    images = resident(task.images(Part.TEST), labels, task.input_shape[0], device)
    return score(network, images, trained.scaling.on(device), Precision.FLOAT32)
