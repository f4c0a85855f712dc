"""Evaluations in flight on an executor, whatever happens to its workers."""

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from types import TracebackType
from typing import Self

from nasgym.evaluation import Estimator, EvaluationRequest, Failed, FailureKind, Outcome
from nasgym.executors.local import close_executor

ATTEMPTS = 3
"""Times a request is started before the death of its worker is put down to the network itself."""

_resident: dict[str, Estimator] = {}


def evaluate(estimator: Estimator, request: EvaluationRequest) -> Outcome:
    """Evaluate in this process with the resident copy of `estimator`, which keeps what it has loaded."""
    return _resident.setdefault(estimator.fingerprint, estimator).evaluate(request)


class Evaluations:
    """Requests in flight; finished ones come out as they finish.

    A lost worker takes every request in flight with it: the executor is made anew and they are started again,
    one at a time from the second loss on, so that a network that kills its worker is found out and
    ends as `Failed(worker_lost)` while the others complete.

    Args:
        estimator: evaluates; it must pickle.
        make_executor: makes an executor; called again after a loss.
    """

    def __init__(self, estimator: Estimator, make_executor: Callable[[], Executor]) -> None:
        self._estimator = estimator
        self._make_executor = make_executor
        self._executor = make_executor()
        self._running: dict[Future[Outcome], tuple[int, EvaluationRequest]] = {}
        self._suspects: list[tuple[int, EvaluationRequest]] = []
        self._losses: dict[int, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(wait=kind is None)

    def __len__(self) -> int:
        return len(self._running) + len(self._suspects)

    def start(self, number: int, request: EvaluationRequest) -> None:
        """Start evaluating `request`, to be known by `number`."""
        if self._suspects:
            self._suspects.append((number, request))
            return
        try:
            self._submit(number, request)
        except BrokenExecutor:
            self._recover([(number, request)])

    def finished(self, *, timeout: float | None = None) -> Iterator[tuple[int, EvaluationRequest, Outcome]]:
        """Yield what has finished, after waiting for at least one or for `timeout` seconds."""
        if not self._running and self._suspects:
            self._submit(*self._suspects.pop(0))
        ready, _ = wait(self._running, timeout=timeout, return_when=FIRST_COMPLETED)
        lost = []
        for future in sorted(ready, key=lambda future: self._running[future][0]):
            number, request = self._running.pop(future)
            try:
                outcome = future.result()
            except BrokenExecutor:
                lost.append((number, request))
            else:
                yield number, request, outcome
        if lost:
            yield from self._recover(lost)

    def close(self, *, wait: bool = True) -> None:
        """Stop; without `wait`, workers are killed in the middle of what they do."""
        close_executor(self._executor, wait=wait)

    def _submit(self, number: int, request: EvaluationRequest) -> None:
        self._running[self._executor.submit(evaluate, self._estimator, request)] = (number, request)

    def _recover(self, lost: list[tuple[int, EvaluationRequest]]) -> list[tuple[int, EvaluationRequest, Outcome]]:
        """Make a new executor after a loss, start the lost requests again, and return those given up."""
        lost = sorted([*lost, *self._running.values()], key=lambda entry: entry[0])
        self._running.clear()
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._executor = self._make_executor()
        given_up: list[tuple[int, EvaluationRequest, Outcome]] = []
        for number, request in lost:
            self._losses[number] = self._losses.get(number, 0) + 1
            if self._losses[number] >= ATTEMPTS:
                message = f"Its worker process died {ATTEMPTS} times while training it."
                given_up.append((number, request, Failed(FailureKind.WORKER_LOST, message)))
            else:
                self._suspects.append((number, request))
        return given_up
