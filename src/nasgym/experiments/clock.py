"""Time of a search: how much is spent, and when to stop searching so that final training still fits."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from nasgym.evaluation import Completed, Outcome

FINAL_SHARE = 0.5
"""At most this part of the budget goes into final training."""
SAFETY = 1.15
"""Trainings take a little longer than their epochs suggest: images to load, a worker to start."""


@dataclass(frozen=True, slots=True)
class FinalTrainingSize:
    """How much final training there will be.

    Attributes:
        networks: trained in the end, the random one included.
        finalists: networks among them that the search chooses.
        epochs: of each.
        workers: that share them, at least 1.
    """

    networks: int
    finalists: int
    epochs: int
    workers: int


class Clock:
    """Wall-clock time of a run, earlier parts included.

    Args:
        earlier: seconds spent by earlier parts.
        budget: seconds for everything; `None` for no limit.
        final: how much of it final training will want.
        search_epochs: epochs of one evaluation.
    """

    def __init__(self, earlier: float, budget: float | None, final: FinalTrainingSize, search_epochs: int) -> None:
        self._start = time.monotonic() - earlier
        self._budget = budget
        self._final = final
        self._ratio = final.epochs / search_epochs

    def seconds(self) -> float:
        """Return the seconds spent so far."""
        return time.monotonic() - self._start

    def is_over(self, outcomes: Sequence[Outcome]) -> bool:
        """Return whether the search has to stop now for final training to fit, going by what `outcomes` took."""
        return self._budget is not None and self.seconds() + self._final_seconds(outcomes) >= self._budget

    def seconds_per_network(self) -> float | None:
        """Return the time limit of one final training in what is left of the budget; `None` without a budget."""
        if self._budget is None:
            return None
        rounds = -(-self._final.networks // self._final.workers)
        return max(1.0, (self._budget - self.seconds()) / SAFETY / rounds)

    def _final_seconds(self, outcomes: Sequence[Outcome]) -> float:
        completed = [outcome for outcome in outcomes if isinstance(outcome, Completed)]
        if self._budget is None or not completed:
            return 0.0
        best = sorted(completed, key=lambda outcome: -outcome.accuracy)[: self._final.finalists]
        mean = sum(outcome.metrics.seconds for outcome in best) / len(best)
        rounds = -(-self._final.networks // self._final.workers)
        return min(SAFETY * rounds * self._ratio * mean, FINAL_SHARE * self._budget)
