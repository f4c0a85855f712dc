"""Calls in flight on an executor whose workers may die or hang."""

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, ParamSpec, Self, TypeVar

from nasgym.executors.workers import LOSSES, Work, WorkerExecutor, WorkerLostError

HANGS = 2
"""Times that a call takes longer than its limit before it is put down to the call itself."""
LOOK_EVERY = 0.5
"""Seconds between looks for calls that take too long."""

_log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")
K = TypeVar("K")


class Workforce:
    """An executor that ends with its block: once its work is done, or at once where an exception ends the block.

    Args:
        make_executor: makes the executor.
    """

    def __init__(self, make_executor: Callable[[], Executor]) -> None:
        self._executor = make_executor()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(wait=kind is None)

    def submit(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Have `function` called; the future raises `WorkerLostError` where its worker dies."""
        return self._executor.submit(function, *args, **kwargs)

    def close(self, *, wait: bool = True) -> None:
        """Stop; without `wait`, workers are killed in the middle of what they do."""
        if not wait and isinstance(self._executor, WorkerExecutor):
            self._executor.kill()
        else:
            self._executor.shutdown(wait=wait, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Lost:
    """What comes out of a call whose worker died every time.

    Attributes:
        attempts: how often it was made.
        how: in words, how the last worker ended.
    """

    attempts: int
    how: str


@dataclass(frozen=True, slots=True)
class Hung:
    """What comes out of a call that took longer than its limit every time, so that its workers were killed.

    Attributes:
        attempts: how often it was made.
        seconds: for how long the last time.
    """

    attempts: int
    seconds: float


@dataclass(slots=True)
class _Call(Generic[K]):
    key: K
    args: tuple[object, ...]
    hangs: int = 0
    stopped_after: float | None = None


class Calls(Generic[K, R]):
    """Calls of one function in flight; finished ones come out as they finish.

    A call that takes longer than its limit loses its worker, and is made again once.

    Args:
        workforce: where calls are made.
        function: what is called; it must pickle, and so must its arguments.
        limit: from the key of a call to the seconds it may take at work, asked again and again; `None` for no limit.
    """

    def __init__(
        self, workforce: Workforce, function: Callable[..., R], *, limit: Callable[[K], float | None] = lambda _: None
    ) -> None:
        self._workforce = workforce
        self._function = function
        self._limit = limit
        self._running: dict[Future[R], _Call[K]] = {}

    def __len__(self) -> int:
        return len(self._running)

    def start(self, key: K, *args: object) -> None:
        """Make a call, to be known by `key`."""
        self._submit(_Call(key, args))

    def finished(self, *, timeout: float | None = None) -> Iterator[tuple[K, R | Lost | Hung]]:
        """Yield what has finished, after waiting for at least one or for `timeout` seconds.

        What a call raised is raised here.
        """
        ready = self._wait(timeout)
        for future in [future for future in self._running if future in ready]:
            call = self._running.pop(future)
            try:
                result = future.result()
            except WorkerLostError as error:
                given_up = self._given_up(call, error)
                if given_up is not None:
                    yield call.key, given_up
            else:
                yield call.key, result

    def withdraw(self) -> None:
        """Forget the calls that no worker has taken yet."""
        self._running = {future: call for future, call in self._running.items() if not future.cancel()}

    def abandon(self) -> None:
        """Forget everything in flight; workers in the middle of it are killed."""
        self.withdraw()
        for future in self._running:
            if isinstance(future, Work):
                future.kill()
        self._running.clear()

    def _submit(self, call: _Call[K]) -> None:
        self._running[self._workforce.submit(self._function, *call.args)] = call

    def _wait(self, timeout: float | None) -> set[Future[R]]:
        """Return what is ready within `timeout` seconds, stopping meanwhile what takes too long."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = LOOK_EVERY if end is None else max(0.0, min(LOOK_EVERY, end - time.monotonic()))
            ready = wait(self._running, timeout=left, return_when=FIRST_COMPLETED).done
            if ready or not self._running or (end is not None and time.monotonic() >= end):
                return ready
            self._stop_late()

    def _stop_late(self) -> None:
        for future, call in self._running.items():
            if isinstance(future, Work) and call.stopped_after is None:
                limit, seconds = self._limit(call.key), future.seconds
                if limit is not None and seconds > limit:
                    _log.warning("A call is stopped after %.0f s; it was to take %.0f s at most.", seconds, limit)
                    call.stopped_after = seconds
                    future.kill()

    def _given_up(self, call: _Call[K], error: WorkerLostError) -> Lost | Hung | None:
        """Return what a call whose worker is gone comes to; `None` if it is made again."""
        if call.stopped_after is None:
            return Lost(LOSSES, str(error))
        seconds, call.stopped_after = call.stopped_after, None
        call.hangs += 1
        if call.hangs == HANGS:
            return Hung(HANGS, seconds)
        self._submit(call)
        return None
