"""Fitting a network to images: one pass after another, nothing kept but the numbers."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nasgym.architectures import Augmentation
from nasgym.core.errors import NasgymError
from nasgym.core.randomness import torch_seed
from nasgym.evaluation.images import Changes, Images, Scaling
from nasgym.evaluation.learners import learner_of
from nasgym.evaluation.outcome import FailureKind
from nasgym.evaluation.recipes import Recipe
from nasgym.evaluation.scores import Score


class TrainingFailedError(NasgymError):
    """A network cannot be trained to the end: its loss is no number, or time is up."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over the training images.

    Attributes:
        train_loss: mean of what was minimised, label smoothing included.
        validation: after the pass.
    """

    train_loss: float
    validation: Score


@dataclass(frozen=True)
class Course:
    """What decides a training, beside network and images.

    Attributes:
        recipe: how.
        batch_size: images in a step, at most.
        augmentation: of the training images.
        scaling: of the pixels.
        seed: of the order of the images and of their augmentation.
    """

    recipe: Recipe
    batch_size: int
    augmentation: Augmentation
    scaling: Scaling
    seed: int


def fit(
    network: nn.Module,
    train: Images,
    validation: Images,
    course: Course,
    *,
    planned: Callable[[int], int],
    deadline: float = math.inf,
    settles: bool = True,
) -> Iterator[Epoch]:
    """Train `network` in place, yielding after each epoch, with the network in evaluation mode.

    Args:
        network: on the device of the images, channels last.
        train: training images.
        validation: validation images.
        course: what decides the training.
        planned: the number of epochs in all, asked before each epoch with the number of those behind it.
        deadline: reading of `time.monotonic` at which training is given up.
        settles: whether `network` has what was learnt after each epoch; where nobody looks at it, that is time lost.

    Raises:
        TrainingFailedError: the loss is infinite or NaN after an epoch, or the deadline has passed.
    """
    device = train.labels.device
    learner = learner_of(network, course.recipe, course.scaling.on(device), course.batch_size)
    order = torch.Generator().manual_seed(torch_seed(course.seed, "order"))
    changes = torch.Generator().manual_seed(torch_seed(course.seed, "augmentation"))
    steps_per_epoch = math.ceil(len(train) / course.batch_size)
    epoch = 0
    while epoch < (n_epochs := planned(epoch)):
        drawn = Changes.draw(course.augmentation, len(train), train.side, changes, device)
        rows = torch.randperm(len(train), generator=order).to(device)
        loss_sum: Tensor | float = 0.0
        for number, batch in enumerate(torch.tensor_split(rows, steps_per_epoch)):
            if time.monotonic() > deadline:
                raise TrainingFailedError(FailureKind.TIMED_OUT, _late(epoch, n_epochs))
            rate = course.recipe.learning_rate_at(
                epoch * steps_per_epoch + number, steps_per_epoch, n_epochs * steps_per_epoch
            )
            if drawn is None:
                loss = learner.step(train.pixels, train.labels, batch, rate)
            else:
                loss = learner.step(drawn.apply(train.pixels, batch), train.labels[batch], None, rate)
            loss_sum += loss * len(batch)
        train_loss = float(loss_sum) / len(train)
        score = learner.score(validation)
        epoch += 1
        if not (math.isfinite(train_loss) and math.isfinite(score.loss)):
            raise TrainingFailedError(
                FailureKind.DIVERGED,
                f"The loss is {train_loss:g} in training and {score.loss:g} in validation after epoch {epoch}.",
            )
        if settles:
            learner.settle()
        yield Epoch(train_loss, score)


def _late(epoch: int, n_epochs: int) -> str:
    return f"The time limit passed in epoch {epoch + 1} of {n_epochs}; allow more time, or ask for fewer epochs."
