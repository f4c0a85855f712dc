"""Evaluations in flight on worker processes, whatever happens to those."""

from collections.abc import Iterator

from nasgym.evaluation import Estimator, EvaluationRequest, Failed, FailureKind, Outcome
from nasgym.executors.workforce import Calls, Lost, Workforce


class Evaluations:
    """Requests in flight; finished ones come out as they finish.

    A network whose worker dies every time ends as `Failed(worker_lost)`, and the others complete.

    Args:
        estimator: evaluates; it must pickle.
        workforce: where.
    """

    def __init__(self, estimator: Estimator, workforce: Workforce) -> None:
        self._calls: Calls[tuple[int, EvaluationRequest], Outcome] = Calls(workforce, estimator.evaluate)

    def __len__(self) -> int:
        return len(self._calls)

    def start(self, number: int, request: EvaluationRequest) -> None:
        """Start evaluating `request`, to be known by `number`."""
        self._calls.start((number, request), request)

    def finished(self, *, timeout: float | None = None) -> Iterator[tuple[int, EvaluationRequest, Outcome]]:
        """Yield what has finished, after waiting for at least one or for `timeout` seconds."""
        for (number, request), outcome in self._calls.finished(timeout=timeout):
            yield number, request, lost_worker(outcome) if isinstance(outcome, Lost) else outcome

    def withdraw(self) -> None:
        """Forget the requests that no worker has taken yet."""
        self._calls.withdraw()

    def abandon(self) -> None:
        """Forget every request in flight; workers in the middle of one are killed."""
        self._calls.abandon()


def lost_worker(lost: Lost) -> Failed:
    """Return the outcome of a network whose worker died every time."""
    return Failed(
        FailureKind.WORKER_LOST,
        f"Its worker process died {lost.attempts} times while training it, perhaps for want of memory.",
    )
