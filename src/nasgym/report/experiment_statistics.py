"""Numbers behind the figures of the paper's experiments, from episodes to blocks, shares, tests and intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures import parse_architecture
from nasgym.core.randomness import stream
from nasgym.report.experiment_report import EpisodeRecord
from nasgym.report.statistics import Interval

BLOCK = 50
"""Episodes that the paper takes together."""
FEWEST_BLOCKS, MOST_BLOCKS = 10, 400
"""With fewer blocks of 50 than these blocks are smaller, with more they are larger."""
RESAMPLES = 2000
PART = 5
"""The beginning and the end of a stage are its first and last fifth."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """A quantity of consecutive episodes, block by block.

    Attributes:
        size: episodes of a block.
        centres: number of the episode in the middle of each block, the first episode being 1.
        means: of the quantity.
        deviations: sample standard deviations; 0 for a single episode.
    """

    size: int
    centres: tuple[float, ...]
    means: tuple[float, ...]
    deviations: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SignedRank:
    """Wilcoxon's signed-rank test on pairs of proportions.

    Attributes:
        statistic: the smaller of the two sums of ranks.
        normal: two-sided p by the normal approximation without correction, as in the paper.
        exact: two-sided p by counting; the same as `normal` where ties leave no exact answer.
        pairs: that differ.
    """

    statistic: float
    normal: float
    exact: float
    pairs: int


def block_size(episodes: int) -> int:
    """Return how many episodes are taken together: 50, as in the paper, unless that makes too few blocks or too many.

    >>> block_size(2000), block_size(500), block_size(120), block_size(3), block_size(200_000)
    (50, 50, 12, 1, 500)
    """
    if episodes >= BLOCK * FEWEST_BLOCKS:
        return max(BLOCK, episodes // MOST_BLOCKS)
    return max(1, episodes // FEWEST_BLOCKS)


def blocks(values: Sequence[float], size: int) -> Blocks:
    """Return mean and standard deviation of each block of `size` values; a rest of less than half joins the last.

    >>> blocks([0.0, 2.0, 4.0, 4.0, 7.0], 2).means
    (1.0, 4.0, 7.0)
    """
    count = max(1, int(len(values) / size + 0.5)) if values else 0
    parts = [values[size * index : size * (index + 1) if index < count - 1 else len(values)] for index in range(count)]
    return Blocks(
        size,
        tuple(size * index + (1 + len(part)) / 2 for index, part in enumerate(parts)),
        tuple(float(np.mean(part)) for part in parts),
        tuple(float(np.std(part, ddof=1)) if len(part) > 1 else 0.0 for part in parts),
    )


def shares(episodes: Sequence[EpisodeRecord], n_actions: int) -> tuple[float, ...]:
    """Return the proportion of each action among all that were taken; zeros where none was."""
    counts = _counts(episodes, n_actions).sum(axis=0) if episodes else np.zeros(n_actions)
    return tuple((counts / max(1, counts.sum())).tolist())


def signed_rank(one: Sequence[float], other: Sequence[float]) -> SignedRank | None:
    """Return the paper's test on two lists of proportions of the same actions; `None` where they are equal.

    On the paper's own proportions of aircraft and cu_birds the normal approximation gives the 0.48 that it prints.
    """
    from scipy.stats import wilcoxon

    differences = np.round(np.subtract(one, other), 12)
    differences = differences[differences != 0]
    if not differences.size:
        return None
    approximate = wilcoxon(differences, method="approx")
    ties = np.unique(np.abs(differences)).size < differences.size
    exact = approximate if ties else wilcoxon(differences, method="exact")
    return SignedRank(
        float(approximate.statistic), float(approximate.pvalue), float(exact.pvalue), int(differences.size)
    )


def share_distance(
    one: Sequence[EpisodeRecord], other: Sequence[EpisodeRecord], n_actions: int, *, seed: int = 0
) -> tuple[float, float]:
    """Return how far apart the proportions of two stages are, and the p of that by permutation of meta-episodes.

    The distance is that of total variation: the share of actions that would have to be others. Its p is the share of
    random divisions of all meta-episodes into two groups of the same sizes whose distance is as large. Episodes that
    belong to none are divided one by one.
    """
    sides = [_sums(_counts(side, n_actions), groups(side)) for side in (one, other)]
    counts, first = np.concatenate(sides), len(sides[0])
    generator = stream(seed, "report", "permutation")
    observed = _total_variation(counts, first)
    orders = (generator.permutation(len(counts)) for _ in range(RESAMPLES))
    as_large = sum(_total_variation(counts[order], first) >= observed - 1e-12 for order in orders)
    return observed, (1 + as_large) / (1 + RESAMPLES)


@dataclass(frozen=True, slots=True)
class Sample:
    """A quantity of episodes, and which of them belong together.

    Attributes:
        values: one for each episode.
        groups: the same number for all episodes of a meta-episode.
    """

    values: tuple[float, ...]
    groups: tuple[int, ...]

    @classmethod
    def of(cls, episodes: Sequence[EpisodeRecord], quantity: Callable[[EpisodeRecord], float]) -> "Sample":
        """Return a quantity of `episodes`."""
        return cls(tuple(quantity(one) for one in episodes), groups(episodes))

    @property
    def mean(self) -> float:
        """Mean over episodes."""
        return float(np.mean(self.values))

    @property
    def n_groups(self) -> int:
        """Number of meta-episodes, or of episodes that belong to none."""
        return len(set(self.groups))


def mean_difference(one: Sample, other: Sample, *, seed: int = 0) -> Interval:
    """Return the mean of `one` less that of `other`, of another run, with its 95 % bootstrap interval.

    Groups are drawn again, since the episodes of a meta-episode share their task and what was learned in it.
    """
    generator = stream(seed, "report", "difference")
    draws = []
    for side in (one, other):
        sums, sizes = _by_group(side, np.unique(side.groups))
        picks = generator.integers(len(sums), size=(RESAMPLES, len(sums)))
        draws.append(sums[picks].sum(axis=1) / sizes[picks].sum(axis=1))
    return _interval(one.mean - other.mean, draws[0] - draws[1])


def paired_difference(one: Sample, other: Sample, *, seed: int = 0) -> Interval:
    """Return the same where both are of the same groups: those that both have are drawn again, each with both parts."""
    common = np.intersect1d(one.groups, other.groups)
    picks = stream(seed, "report", "paired").integers(len(common), size=(RESAMPLES, len(common)))
    means = []
    for side in (one, other):
        sums, sizes = _by_group(side, common)
        means.append((sums.sum() / sizes.sum(), sums[picks].sum(axis=1) / sizes[picks].sum(axis=1)))
    return _interval(float(means[0][0] - means[1][0]), means[0][1] - means[1][1])


def groups(episodes: Sequence[EpisodeRecord]) -> tuple[int, ...]:
    """Return the number of the meta-episode of each episode; one of its own, below 0, for one that belongs to none."""
    return tuple(one.meta_episode or -index for index, one in enumerate(episodes, start=1))


def ends(episodes: Sequence[EpisodeRecord]) -> tuple[Sequence[EpisodeRecord], Sequence[EpisodeRecord]]:
    """Return the first and the last fifth of the episodes, at least one each."""
    count = max(1, len(episodes) // PART)
    return episodes[:count], episodes[-count:]


def by_place(episodes: Sequence[EpisodeRecord], quantity: Callable[[EpisodeRecord], float]) -> list[list[float]]:
    """Return a quantity of the first episodes of all meta-episodes, of the second ones, and so on."""
    places = max((episode.place for episode in episodes), default=0)
    return [[quantity(one) for one in episodes if one.place == place] for place in range(1, places + 1)]


def multi_branch_count(episode: EpisodeRecord, known: dict[str, bool]) -> int:
    """Return how many different networks of an episode branch: something feeds two layers, or a merge exists (§6.2).

    Args:
        episode: its networks; a pointer shift leaves the network as it is.
        known: answers by text, kept between calls.
    """
    texts = {text for text in episode.networks if text}
    for text in texts - known.keys():
        known[text] = parse_architecture(text).is_multi_branch
    return sum(known[text] for text in texts)


def two_deviations(values: Sequence[float]) -> float | None:
    """Return twice the sample standard deviation; `None` for fewer than two values."""
    return 2 * float(np.std(values, ddof=1)) if len(values) > 1 else None


def _counts(episodes: Sequence[EpisodeRecord], n_actions: int) -> NDArray[np.int64]:
    return np.array([np.bincount(one.actions, minlength=n_actions) for one in episodes], dtype=np.int64).reshape(
        -1, n_actions
    )


def _by_group(sample: Sample, wanted: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return sum and number of the values of each wanted group."""
    kept = np.isin(sample.groups, wanted)
    index = np.searchsorted(wanted, np.array(sample.groups)[kept])
    values = np.array(sample.values, dtype=np.float64)[kept]
    sums: NDArray[np.float64] = np.zeros(len(wanted))
    np.add.at(sums, index, values)
    return sums, np.bincount(index, minlength=len(wanted)).astype(np.int64)


def _sums(counts: NDArray[np.int64], numbers: Sequence[int]) -> NDArray[np.int64]:
    """Return the sum of the rows of each group."""
    index = np.unique(numbers, return_inverse=True)[1]
    sums = np.zeros((int(index.max(initial=-1)) + 1, counts.shape[1]), dtype=np.int64)
    np.add.at(sums, index, counts)
    return sums


def _interval(estimate: float, draws: NDArray[np.float64]) -> Interval:
    low, high = np.quantile(draws, (0.025, 0.975))
    return Interval(estimate, float(low), float(high))


def _total_variation(counts: NDArray[np.int64], first: int) -> float:
    one, other = counts[:first].sum(axis=0), counts[first:].sum(axis=0)
    return float(np.abs(one / max(1, one.sum()) - other / max(1, other.sum())).sum() / 2)
