"""Time of a search: how much is spent, and when to stop searching so that final training still fits."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from nasgym.evaluation import Completed, Outcome

FINAL_SHARE = 0.5
"""At most this part of the budget is set aside for final training."""
SAFETY = 1.15
"""Trainings take a little longer than their epochs suggest: images to load, augmentation."""
CLOSING_SECONDS, CLOSING_SHARE = 5.0, 0.03
"""Set aside for testing the chosen network and for the report: seconds, and a part of the budget."""
LONG_ENOUGH = 0.6
"""Part of its epochs that a final training should get; where time is short, fewer networks are trained instead."""
GRACE = 0.5
"""This part of the time for final training may go into evaluations that the end of the search finds at work: to wait
for them costs less than to start their workers anew."""


@dataclass(frozen=True, slots=True)
class Workload:
    """How much there is to train.

    Attributes:
        workers: processes that share it, at least 1.
        networks: that get the final training, the random one included.
        ratio: images that pass through one final training for every image that passes through an evaluation.
    """

    workers: int
    networks: int
    ratio: float

    def rounds(self, trainings: int) -> int:
        """Return how many of `trainings` one worker gets."""
        return -(-trainings // self.workers)


class Clock:
    """Wall-clock time of a run, earlier parts included.

    Args:
        started: reading of `time.monotonic` at the start of this part.
        earlier: seconds spent by earlier parts.
        budget: seconds for everything; `None` for no limit.
        work: what the budget has to be enough for.
    """

    def __init__(self, started: float, earlier: float, budget: float | None, work: Workload) -> None:
        self._start = started - earlier
        self._budget = budget
        self._work = work

    def seconds(self) -> float:
        """Return the seconds spent so far."""
        return time.monotonic() - self._start

    def is_over(self, outcomes: Sequence[Outcome]) -> bool:
        """Return whether to start no further evaluation, going by what `outcomes` took."""
        completed = _completed(outcomes)
        if self._budget is None:
            return False
        if not completed:
            return self.seconds() >= self._budget
        return self.seconds() + _typical_seconds(completed) + self._final_seconds(completed) >= self._budget

    def seconds_to_wait(self, outcomes: Sequence[Outcome]) -> float | None:
        """Return for how long evaluations at work are still waited for when the search is over.

        At least as long as one usually takes, since to start workers anew takes time, too; not at all where none has
        completed and the budget is spent. `None`: for as long as it takes.
        """
        completed = _completed(outcomes)
        if self._budget is None:
            return None
        if not completed:
            return max(0.0, self._budget - self.seconds())
        left = self._budget - (1 - GRACE) * self._final_seconds(completed) - self.seconds()
        return max(left, _typical_seconds(completed))

    def networks_in_time(self, outcomes: Sequence[Outcome]) -> int:
        """Return how many networks still get `LONG_ENOUGH` of their final training; 2 at least, one of them random."""
        completed = _completed(outcomes)
        end = self.end_of_training()
        if end is None or not completed:
            return self._work.networks
        one = SAFETY * self._work.ratio * _typical_seconds(self._best(completed))
        rounds = int((end - time.monotonic()) / (LONG_ENOUGH * one))
        return min(self._work.networks, max(2, rounds * self._work.workers))

    def end_of_training(self) -> float | None:
        """Return the reading of `time.monotonic` by which final training has to end; `None` without a budget."""
        return None if self._budget is None else self._start + self._budget - self._closing

    @property
    def _closing(self) -> float:
        return 0.0 if self._budget is None else CLOSING_SECONDS + CLOSING_SHARE * self._budget

    def _final_seconds(self, completed: Sequence[Completed]) -> float:
        """Return the seconds to set aside for final training and what comes after, given that there is a budget."""
        one = SAFETY * self._work.ratio * _typical_seconds(self._best(completed))
        wanted = self._work.rounds(self._work.networks) * one
        return min(wanted + self._closing, FINAL_SHARE * (self._budget or 0.0))

    def _best(self, completed: Sequence[Completed]) -> list[Completed]:
        return sorted(completed, key=lambda outcome: -outcome.accuracy)[: self._work.networks]


def _completed(outcomes: Sequence[Outcome]) -> list[Completed]:
    return [outcome for outcome in outcomes if isinstance(outcome, Completed)]


def _typical_seconds(completed: Sequence[Completed]) -> float:
    """Return the median: the first training of a process takes longer, since libraries are loaded in it."""
    return statistics.median(outcome.metrics.seconds for outcome in completed)
