"""Fitting a network to images: one pass after another, nothing kept but the numbers."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from nasgym.architectures import Augmentation
from nasgym.core.errors import NasgymError
from nasgym.core.randomness import torch_seed
from nasgym.evaluation.hardware import autocast
from nasgym.evaluation.images import Changes, Images, Scaler, Scaling
from nasgym.evaluation.outcome import FailureKind
from nasgym.evaluation.recipes import Adam, Precision, Recipe, Sgd

EVALUATION_BATCH = 512
"""Images in a step of a validation or test."""


class TrainingFailedError(NasgymError):
    """A network cannot be trained to the end: its loss is no number, or time is up."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Score:
    """How a network does on a part of a data set.

    Attributes:
        loss: mean cross-entropy, without label smoothing.
        accuracy: in [0, 1].
    """

    loss: float
    accuracy: float


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
) -> Iterator[Epoch]:
    """Train `network` in place, yielding after each epoch, with the network in evaluation mode.

    Args:
        network: on the device of the images, channels last.
        train: training images.
        validation: validation images.
        course: what decides the training.
        planned: the number of epochs in all, asked before each epoch with the number of those behind it.
        deadline: reading of `time.monotonic` at which training is given up.

    Raises:
        TrainingFailedError: the loss is infinite or NaN after an epoch, or the deadline has passed.
    """
    optimizer = _optimizer(network, course.recipe)
    scaler = course.scaling.on(train.labels.device)
    order = torch.Generator().manual_seed(torch_seed(course.seed, "order"))
    changes = torch.Generator().manual_seed(torch_seed(course.seed, "augmentation"))
    steps_per_epoch = math.ceil(len(train) / course.batch_size)
    epoch = 0
    while epoch < (n_epochs := planned(epoch)):
        network.train()
        drawn = Changes.draw(course.augmentation, len(train), train.side, changes, train.labels.device)
        rows = torch.randperm(len(train), generator=order).to(train.labels.device)
        loss_sum = torch.zeros((), device=train.labels.device)
        for number, batch in enumerate(torch.tensor_split(rows, steps_per_epoch)):
            if time.monotonic() > deadline:
                raise TrainingFailedError(FailureKind.TIMED_OUT, _late(epoch, n_epochs))
            rate = course.recipe.learning_rate_at(
                epoch * steps_per_epoch + number, steps_per_epoch, n_epochs * steps_per_epoch
            )
            pixels = train.pixels[batch] if drawn is None else drawn.apply(train.pixels, batch)
            loss_sum += _step(network, optimizer, rate, train.labels[batch], scaler.apply(pixels), course.recipe) * len(
                batch
            )
        train_loss = loss_sum.item() / len(train)
        score_ = score(network, validation, scaler, course.recipe.precision)
        epoch += 1
        if not (math.isfinite(train_loss) and math.isfinite(score_.loss)):
            raise TrainingFailedError(
                FailureKind.DIVERGED,
                f"The loss is {train_loss:g} in training and {score_.loss:g} in validation after epoch {epoch}.",
            )
        yield Epoch(train_loss, score_)


def score(network: nn.Module, images: Images, scaler: Scaler, precision: Precision) -> Score:
    """Return how `network` does on `images`; leaves it in evaluation mode."""
    network.eval()
    device = images.labels.device
    loss, correct = torch.zeros((), device=device), torch.zeros((), dtype=torch.long, device=device)
    with torch.inference_mode(), autocast(device, precision):
        for start in range(0, len(images), EVALUATION_BATCH):
            labels = images.labels[start : start + EVALUATION_BATCH]
            scores = network(scaler.apply(images.pixels[start : start + EVALUATION_BATCH])).float()
            loss += functional.cross_entropy(scores, labels, reduction="sum")
            correct += (scores.argmax(1) == labels).sum()
    return Score(loss.item() / len(images), correct.item() / len(images))


def _step(
    network: nn.Module, optimizer: torch.optim.Optimizer, rate: float, labels: Tensor, images: Tensor, recipe: Recipe
) -> Tensor:
    """Take one step of gradient descent at learning rate `rate`; return the mean loss, still on its device."""
    with autocast(images.device, recipe.precision):
        scores = network(images)
    loss = functional.cross_entropy(scores.float(), labels, label_smoothing=recipe.label_smoothing)
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    return loss.detach()


def _optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimizer, fused; kernels and matrices decay, biases and normalisation do not."""
    chosen = recipe.optimizer
    parameters = list(network.parameters())
    groups = [
        {"params": [parameter for parameter in parameters if parameter.ndim > 1], "weight_decay": chosen.weight_decay},
        {"params": [parameter for parameter in parameters if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    match chosen:
        case Adam():
            return torch.optim.AdamW(
                groups, lr=recipe.learning_rate, betas=(chosen.beta1, chosen.beta2), eps=chosen.epsilon, fused=True
            )
        case Sgd():
            return torch.optim.SGD(
                groups,
                lr=recipe.learning_rate,
                momentum=chosen.momentum,
                nesterov=chosen.momentum > 0,
                fused=True,
            )


def _late(epoch: int, n_epochs: int) -> str:
    return f"The time limit passed in epoch {epoch + 1} of {n_epochs}; allow more time, or ask for fewer epochs."
