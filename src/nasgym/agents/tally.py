"""Counting what ended in a rollout: episodes and meta-episodes, their returns and lengths."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nasgym.agents.rollout import Batch

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Ended:
    """What ended in a rollout, in the order of the environments, and of time in each.

    Attributes:
        returns: sums of the rewards, not discounted.
        lengths: in steps.
        last_rewards: the last reward of each.
        indices: of the episodes in their meta-episodes; of a meta-episode, that of its last episode.
    """

    returns: Numbers
    lengths: Numbers
    last_rewards: Numbers
    indices: NDArray[np.int64]


@dataclass(frozen=True)
class Tally:
    """Rewards and steps of what has not ended yet.

    Attributes:
        episodes: shape `(2, n)`: sums of rewards, and steps.
        meta_episodes: the same.
    """

    episodes: Numbers
    meta_episodes: Numbers

    @classmethod
    def nothing(cls, n: int) -> "Tally":
        """Return the tally of environments that have just begun."""
        return cls(np.zeros((2, n)), np.zeros((2, n)))

    def count(self, batch: Batch) -> tuple[Ended, Ended, "Tally"]:
        """Return the episodes and the meta-episodes that ended in a rollout, and what is left over."""
        episodes, left = _count(batch, batch.episode_ended, self.episodes)
        meta_episodes, meta_left = _count(batch, batch.terminated | batch.truncated, self.meta_episodes)
        return episodes, meta_episodes, Tally(left, meta_left)


def _count(batch: Batch, ended: NDArray[np.bool_], before: Numbers) -> tuple[Ended, Numbers]:
    n = before.shape[1]
    sums = np.cumsum(batch.rewards, axis=0, dtype=np.float64) + before[0]
    steps = np.arange(1, len(batch) + 1)[:, np.newaxis] + before[1]
    places, times = np.nonzero(ended.T)
    first = np.ones(len(places), dtype=np.bool_)
    first[1:] = places[1:] != places[:-1]
    counted: list[Numbers] = []
    left = np.empty_like(before)
    for number, running in enumerate((sums, steps)):
        at_end = running[times, places]
        earlier = np.where(first, 0.0, np.concatenate([[0.0], at_end[:-1]]))
        counted.append(at_end - earlier)
        latest = np.zeros(n)
        latest[places] = at_end  # the last of each place stays, since they come in the order of time
        left[number] = running[-1] - latest
    returns, lengths = counted
    return Ended(returns, lengths, batch.rewards[times, places].astype(np.float64), batch.indices[times, places]), left
