"""Numbers behind the figures of agents: curves over training, and over the episodes of a meta-episode."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nasgym.core.randomness import stream
from nasgym.report.statistics import Interval
from nasgym.store import PlayedMetaEpisode, TrainingUpdate

RESAMPLES = 2000
POINTS = 100
"""Points of a curve over training, at most: updates in between are summed up."""
THIRD = 2
"""Index of the third episode: the first that a policy can choose knowing two rewards."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive updates, summed up.

    Attributes:
        steps: at its end, since training began.
        mean_return: of the meta-episodes that ended in it; `None` where none did.
        entropy: mean over steps, nats; `None` where the agent has none.
        episode_length: mean over updates, steps; `None` where no episode ended.
        rewards: mean by episode index, over updates.
        shares: of each action among those taken.
    """

    steps: int
    mean_return: float | None
    entropy: float | None
    episode_length: float | None
    rewards: tuple[float | None, ...]
    shares: tuple[float, ...]


def stretches(updates: Sequence[TrainingUpdate], points: int = POINTS) -> tuple[Stretch, ...]:
    """Return the training in at most `points` stretches of equally many updates, the last perhaps shorter."""
    size = max(1, -(-len(updates) // points))
    return tuple(_stretch(updates[start : start + size]) for start in range(0, len(updates), size))


def _stretch(updates: Sequence[TrainingUpdate]) -> Stretch:
    episodes = max(len(update.rewards) for update in updates)
    n_actions = max(len(update.actions) for update in updates)
    counts = np.sum([np.pad(update.actions, (0, n_actions - len(update.actions))) for update in updates], axis=0)
    taken = max(1, int(counts.sum()))
    by_index = [
        [update.rewards[index] for update in updates if index < len(update.rewards)] for index in range(episodes)
    ]
    return Stretch(
        steps=updates[-1].steps,
        mean_return=_mean([u.mean_return for u in updates], [u.meta_episodes for u in updates]),
        entropy=_mean([update.entropy for update in updates]),
        episode_length=_mean([update.episode_length for update in updates]),
        rewards=tuple(_mean(values) for values in by_index),
        shares=tuple(float(count) / taken for count in counts),
    )


def _mean(values: Sequence[float | None], weights: Sequence[float] | None = None) -> float | None:
    """Return the mean of what is known, weighted; `None` where nothing is."""
    weighed = zip(values, weights or [1.0] * len(values), strict=True)
    known = [(value, weight) for value, weight in weighed if value is not None and weight > 0]
    if not known:
        return None
    return sum(value * weight for value, weight in known) / sum(weight for _, weight in known)


def mean_intervals(
    values: NDArray[np.float64], groups: Sequence[str], *, seed: int = 0, confidence: float = 0.95
) -> tuple[Interval, ...]:
    """Return the mean of each column with its percentile bootstrap interval.

    Rows are drawn again within their group: the tasks are what they are, and the meta-episodes on them are the sample.
    Groups count equally.

    Args:
        values: shape `(n, k)`, n at least 1.
        groups: of the rows.
        seed: of the resampling.
        confidence: coverage of the interval, in (0, 1).
    """
    generator = stream(seed, "report", "meta-episodes")
    names = np.array(groups)
    means, samples = [], []
    for name in dict.fromkeys(groups):
        rows = values[names == name]
        picks = generator.integers(len(rows), size=(RESAMPLES, len(rows)))
        means.append(rows.mean(axis=0))
        samples.append(rows[picks].mean(axis=1))
    estimates, draws = np.mean(means, axis=0), np.mean(samples, axis=0)
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, (tail, 1 - tail), axis=0)
    return tuple(Interval(*map(float, triple)) for triple in zip(estimates, low, high, strict=True))


def rewards_of(played: Sequence[PlayedMetaEpisode]) -> NDArray[np.float64]:
    """Return the reward of each episode, shape `(n, k)`."""
    return np.array([one.rewards for one in played], dtype=np.float64)


def accuracies_of(played: Sequence[PlayedMetaEpisode]) -> NDArray[np.float64]:
    """Return the accuracy of each episode's network, 0 where there is none, shape `(n, k)`."""
    return np.array([[value or 0.0 for value in one.accuracies] for one in played], dtype=np.float64)


def incumbents_of(played: Sequence[PlayedMetaEpisode]) -> NDArray[np.float64]:
    """Return the best accuracy so far after each episode, shape `(n, k)`."""
    return np.maximum.accumulate(accuracies_of(played), axis=1)


def from_the_third_on(
    own: Sequence[PlayedMetaEpisode], other: Sequence[PlayedMetaEpisode], *, seed: int = 0
) -> Interval | None:
    """Return by how much the networks of `own` are more accurate than those of `other`, from the third episode on.

    Both hold the same tasks. An interval above 0 says that what a policy saw in the first two episodes made the
    difference; `None` where meta-episodes are shorter.
    """
    mine, theirs = accuracies_of(own), accuracies_of(other)
    if mine.shape[1] <= THIRD:
        return None
    names = [one.task for one in own]
    difference = _late_mean(mine, names, seed) - _late_mean(theirs, [one.task for one in other], seed + 1)
    estimate, draws = difference[0], difference[1:]
    return Interval(float(estimate), *map(float, np.quantile(draws, (0.025, 0.975))))


def _late_mean(values: NDArray[np.float64], groups: Sequence[str], seed: int) -> NDArray[np.float64]:
    """Return the mean from the third episode on over tasks, and behind it that of bootstrap samples."""
    generator = stream(seed, "report", "third")
    names, late = np.array(groups), values[:, THIRD:].mean(axis=1)
    columns = []
    for name in sorted(set(groups)):
        rows = late[names == name]
        picks = generator.integers(len(rows), size=(RESAMPLES, len(rows)))
        columns.append(np.concatenate([[rows.mean()], rows[picks].mean(axis=1)]))
    return np.asarray(np.mean(columns, axis=0), dtype=np.float64)
