"""Numbers behind the figures: incumbents, fronts, intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from nasgym.core.randomness import stream

_NORMAL_975 = 1.959963984540054
"""97.5 % quantile of the standard normal distribution."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its confidence interval.

    Attributes:
        estimate: the statistic itself.
        low: lower end.
        high: upper end.
    """

    estimate: float
    low: float
    high: float


def incumbents(scores: Sequence[float | None]) -> tuple[float | None, ...]:
    """Return the best score so far after each evaluation; `None` stands for a failure, and for no score yet.

    >>> incumbents([None, 0.5, 0.3, None, 0.7])
    (None, 0.5, 0.5, 0.5, 0.7)
    """
    best: float | None = None
    curve = []
    for score in scores:
        if score is not None and (best is None or score > best):
            best = score
        curve.append(best)
    return tuple(curve)


def pareto_front(costs: Sequence[float], scores: Sequence[float]) -> tuple[int, ...]:
    """Return the indices of the points that no other point beats at the same or a lower cost.

    The result goes from cheap to costly, scores strictly rising; of equal points the first stays.

    >>> pareto_front([10, 20, 30, 20], [0.5, 0.7, 0.6, 0.4])
    (0, 1)
    """
    order = sorted(range(len(costs)), key=lambda index: (costs[index], -scores[index], index))
    front: list[int] = []
    for index in order:
        if not front or scores[index] > scores[front[-1]]:
            front.append(index)
    return tuple(front)


def interquartile_mean(values: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Return the mean of what remains when the lowest and the highest `n // 4` values are left out.

    Robust and still precise with few seeds (Agarwal et al., arXiv 2108.13264).
    """
    ordered = np.sort(np.moveaxis(np.asarray(values, dtype=np.float64), axis, -1), axis=-1)
    cut = ordered.shape[-1] // 4
    kept: NDArray[np.float64] = ordered[..., cut : ordered.shape[-1] - cut]
    return np.asarray(kept.mean(axis=-1), dtype=np.float64)


def bootstrap_interval(
    values: Sequence[float],
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]] = interquartile_mean,
    *,
    seed: int = 0,
    confidence: float = 0.95,
    resamples: int = 5000,
) -> Interval:
    """Return `statistic` of `values` with its percentile bootstrap interval.

    Args:
        values: independent repetitions, at least one.
        statistic: maps an array to a number along its last axis.
        seed: of the resampling.
        confidence: coverage of the interval, in (0, 1).
        resamples: number of bootstrap samples.
    """
    sample = np.asarray(values, dtype=np.float64)
    picks = stream(seed, "report", "bootstrap").integers(sample.size, size=(resamples, sample.size))
    tail = (1 - confidence) / 2
    low, high = np.quantile(statistic(sample[picks]), (tail, 1 - tail))
    return Interval(float(statistic(sample)), float(low), float(high))


def proportion_interval(share: float, n: int) -> Interval:
    """Return Wilson's 95 % interval of a proportion measured on `n` independent cases, `n` at least 1."""
    weight = _NORMAL_975**2 / n
    centre = (share + weight / 2) / (1 + weight)
    half = _NORMAL_975 * sqrt(share * (1 - share) / n + weight / (4 * n)) / (1 + weight)
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))


def mean_interval(values: Sequence[float]) -> Interval | None:
    """Return the mean of independent values with its 95 % interval by Student's t; `None` for fewer than two.

    >>> found = mean_interval([1.0, 2.0, 3.0])  # 2 ± 4.303 / √3
    >>> round(found.low, 3), found.estimate, round(found.high, 3)
    (-0.484, 2.0, 4.484)
    """
    from scipy.stats import t

    n = len(values)
    if n < 2:
        return None
    mean = float(np.mean(values))
    half = float(t.ppf(0.975, n - 1)) * float(np.std(values, ddof=1)) / sqrt(n)
    return Interval(mean, mean - half, mean + half)


@dataclass(frozen=True, slots=True)
class ClassResult:
    """How one class fared.

    Attributes:
        label: index of the class.
        images: test images of the class.
        correct: how many were recognised.
    """

    label: int
    images: int
    correct: int

    @property
    def accuracy(self) -> float | None:
        """Share of the images that were recognised; `None` without images."""
        return self.correct / self.images if self.images else None


@dataclass(frozen=True, slots=True)
class Mistake:
    """Images of one class taken for another.

    Attributes:
        label: the true class.
        predicted: the class they were taken for.
        images: how many.
    """

    label: int
    predicted: int
    images: int


def class_results(confusion: Sequence[Sequence[int]]) -> tuple[ClassResult, ...]:
    """Return the result of each class, in label order, from counts by (true class, predicted class)."""
    return tuple(ClassResult(label, sum(row), row[label]) for label, row in enumerate(confusion))


def mistakes(confusion: Sequence[Sequence[int]], limit: int) -> tuple[Mistake, ...]:
    """Return the `limit` most frequent mistakes, the most frequent first, in label order among equals."""
    found = [
        Mistake(label, predicted, images)
        for label, row in enumerate(confusion)
        for predicted, images in enumerate(row)
        if predicted != label and images > 0
    ]
    return tuple(sorted(found, key=lambda mistake: -mistake.images)[:limit])
