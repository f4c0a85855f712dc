"""Evaluations in flight on workers, whatever happens to those."""

from collections.abc import Iterator

from nasgym.evaluation import Estimator, EvaluationRequest, Failed, FailureKind, Outcome
from nasgym.evaluation.resident import Luggage, evaluate_resident
from nasgym.executors.patience import Patience
from nasgym.executors.workforce import Calls, Hung, Lost, Workforce


class Evaluations:
    """Requests in flight; finished ones come out as they finish.

    A network whose worker dies or hangs every time ends as `Failed`, and the others complete.

    Args:
        estimator: evaluates; it must pickle. Each worker keeps its own, and one of every task.
        workforce: where.
        patience: says when an evaluation hangs; unless given, one that learns from what finishes.
    """

    def __init__(self, estimator: Estimator, workforce: Workforce, patience: Patience | None = None) -> None:
        self._luggage = Luggage(estimator)
        self._patience = patience or Patience(estimator.profile)
        self._calls: Calls[tuple[int, EvaluationRequest], Outcome] = Calls(
            workforce, evaluate_resident, limit=lambda key: self._patience.limit(key[1])
        )

    def __len__(self) -> int:
        return len(self._calls)

    def start(self, number: int, request: EvaluationRequest) -> None:
        """Start evaluating `request`, to be known by `number`."""
        self._calls.start((number, request), *self._luggage.arguments(request))

    def finished(self, *, timeout: float | None = None) -> Iterator[tuple[int, EvaluationRequest, Outcome]]:
        """Yield what has finished, after waiting for at least one or for `timeout` seconds."""
        for (number, request), outcome in self._calls.finished(timeout=timeout):
            if isinstance(outcome, Lost | Hung):
                yield number, request, lost_worker(outcome)
            else:
                self._patience.learn(request, outcome)
                yield number, request, outcome

    def withdraw(self) -> None:
        """Forget the requests that no worker has taken yet."""
        self._calls.withdraw()

    def abandon(self) -> None:
        """Forget every request in flight; workers in the middle of one are killed."""
        self._calls.abandon()


def lost_worker(lost: Lost | Hung) -> Failed:
    """Return the outcome of a network whose worker died, or hung, every time."""
    match lost:
        case Lost(attempts=attempts, how=how):
            return Failed(
                FailureKind.WORKER_LOST,
                f"Its worker died {attempts} times while training it, perhaps for want of memory; the last time: {how}",
            )
        case Hung(attempts=attempts, seconds=seconds):
            return Failed(
                FailureKind.TIMED_OUT,
                f"It was stopped {attempts} times, the last time after {seconds:.0f} s, far beyond its predicted time.",
            )
