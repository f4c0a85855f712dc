"""What can be told of a task without training a network (SPEC §3): sizes, and two cheap landmarks."""

from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from nasgym.data import Part
from nasgym.data.thumbnails import thumbnails
from nasgym.tasks.image_task import ImageTask

_TRAIN, _JUDGED, _CELLS, _RIDGE = 2000, 1000, 12, 0.03


@dataclass(frozen=True, slots=True)
class TaskDescription:
    """Facts about a task; the test images take no part in them.

    Attributes:
        classes: number of classes.
        samples: number of training images.
        resolution: side of the images, pixels.
        colour: whether the images have colours.
        balance: entropy of the classes over its maximum, in [0, 1].
        nearest_neighbour: validation accuracy of 1-nearest-neighbour on thumbnails, in [0, 1].
        linear: validation accuracy of ridge regression to one-hot classes on thumbnails, in [0, 1].
    """

    classes: int
    samples: int
    resolution: int
    colour: bool
    balance: float
    nearest_neighbour: float
    linear: float

    def vector(self) -> NDArray[np.float32]:
        """Return 7 numbers in roughly [0, 1]: log₂ classes / 12, log₁₀ samples / 7, log₂ resolution / 10, the rest."""
        classes, samples, resolution, *rest = astuple(self)
        sizes = [np.log2(classes) / 12, np.log10(samples) / 7, np.log2(resolution) / 10]
        return np.array([*sizes, *rest], np.float32)


def describe(task: ImageTask) -> TaskDescription:
    """Return the description of `task`. The landmarks come from at most 2,000 training and 1,000 validation images,
    spread evenly over the classes; without validation images, every fifth training image is judged.
    """
    counts = np.bincount(task.labels(Part.TRAIN), minlength=task.n_classes)
    shares = counts / counts.sum()
    train, judged = task.indices(Part.TRAIN), task.indices(Part.VALIDATION)
    if not len(judged):
        train, judged = np.delete(train, np.s_[::5]), train[::5]
    inputs, labels = _features(task, _spread(train, _TRAIN))
    others, truth = _features(task, _spread(judged, _JUDGED))
    return TaskDescription(
        classes=task.n_classes,
        samples=len(task.indices(Part.TRAIN)),
        resolution=task.input_shape[0],
        colour=task.input_shape[2] == 3,
        balance=float(-np.sum(shares * np.log(shares)) / np.log(task.n_classes)),
        nearest_neighbour=float(np.mean(labels[_nearest(inputs, others)] == truth)),
        linear=float(np.mean(_ridge(inputs, labels, others) == truth)),
    )


def _spread(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return at most `most` of the rows, evenly spaced; rows are ordered by class."""
    return rows if len(rows) <= most else rows[np.arange(most) * len(rows) // most]


def _features(task: ImageTask, rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    small = thumbnails(task.dataset.images, rows, _CELLS).reshape(len(rows), -1).astype(np.float64)
    return small, task.dataset.labels[rows]


def _nearest(inputs: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return, for each of `others`, which of `inputs` is closest."""
    nearest: NDArray[np.intp] = np.argmin((inputs**2).sum(axis=1) - 2 * others @ inputs.T, axis=1)
    return nearest


def _ridge(inputs: NDArray[np.float64], labels: NDArray[np.int64], others: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the label ridge regression gives each of `others`."""
    classes, codes = np.unique(labels, return_inverse=True)
    mean, deviation = inputs.mean(axis=0), inputs.std(axis=0) + 1e-3
    scaled = (inputs - mean) / deviation
    targets = np.eye(len(classes))[codes]
    centre = targets.mean(axis=0)
    penalty = _RIDGE * len(inputs) * np.eye(inputs.shape[1])
    weights = np.linalg.solve(scaled.T @ scaled + penalty, scaled.T @ (targets - centre))
    scores = (others - mean) / deviation @ weights + centre
    predicted: NDArray[np.int64] = classes[np.argmax(scores, axis=1)]
    return predicted
