"""The linear model that a found network must beat."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nasgym.data import Part
from nasgym.data.thumbnails import thumbnails
from nasgym.tasks.image_task import ImageTask

_SIDE, _WORK, _MOST_STEPS, _LEAST_STEPS = 32, 4e10, 200, 20
"""Side of the images, multiply-adds in all (about ten seconds on one core), and steps of the optimiser."""


@dataclass(frozen=True, slots=True)
class BaselineScore:
    """Accuracies in [0, 1]; `None` where a side has no images.

    Attributes:
        validation: on the validation images.
        test: on the test images.
    """

    validation: float | None
    test: float | None


def linear_baseline(task: ImageTask) -> BaselineScore:
    """Train logistic regression on the training pixels, at most 32 × 32, and return its accuracies.

    It takes bounded time, the same on every machine in work: where all images and 20 steps of L-BFGS would be more than
    4·10¹⁰ multiply-adds, fewer training images are used, spread evenly over the classes.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    rows = task.indices(Part.TRAIN)
    per_image = 2 * min(_SIDE, task.input_shape[0]) ** 2 * task.input_shape[2] * task.n_classes
    most = max(10 * task.n_classes, int(_WORK / (per_image * _LEAST_STEPS)))
    if len(rows) > most:
        rows = rows[np.arange(most) * len(rows) // most]
    steps = int(np.clip(_WORK / (per_image * len(rows)), _LEAST_STEPS, _MOST_STEPS))
    inputs = _pixels(task, rows)
    mean = inputs.mean(axis=0)
    model = LogisticRegression(C=0.1, max_iter=steps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(inputs - mean, task.dataset.labels[rows])

    def accuracy(part: Part) -> float | None:
        judged = task.indices(part)
        if not len(judged):
            return None
        return float(np.mean(model.predict(_pixels(task, judged) - mean) == task.dataset.labels[judged]))

    return BaselineScore(accuracy(Part.VALIDATION), accuracy(Part.TEST))


def _pixels(task: ImageTask, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    return thumbnails(task.dataset.images, rows, _SIDE).reshape(len(rows), -1)
