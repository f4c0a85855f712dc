"""Worker processes that are replaced when one of them dies, and calls that survive it."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, ParamSpec, Self, TypeVar

from nasgym.executors.local import close_executor

ATTEMPTS = 3
"""Times a call is made before the death of its worker is put down to the call itself."""

_log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")
K = TypeVar("K")


class Workforce:
    """An executor that is made anew when it breaks.

    Args:
        make_executor: makes an executor; called again after a loss.
    """

    def __init__(self, make_executor: Callable[[], Executor]) -> None:
        self._make_executor = make_executor
        self._executor = make_executor()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(wait=kind is None)

    def submit(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Have `function` called.

        Raises:
            BrokenExecutor: a worker has died, and `renew` has not been called since; so does the future.
        """
        return self._executor.submit(function, *args, **kwargs)

    def renew(self) -> None:
        """Kill what is left of the executor, and make another one."""
        self.close(wait=False)
        self._executor = self._make_executor()

    def close(self, *, wait: bool = True) -> None:
        """Stop; without `wait`, workers are killed in the middle of what they do."""
        close_executor(self._executor, wait=wait)


@dataclass(frozen=True, slots=True)
class Lost:
    """What comes out of a call whose worker died every time.

    Attributes:
        attempts: how often it was made.
    """

    attempts: int


@dataclass(slots=True)
class _Call(Generic[K]):
    key: K
    args: tuple[object, ...]
    losses: int = 0


class Calls(Generic[K, R]):
    """Calls of one function in flight; finished ones come out as they finish.

    A dead worker takes every call in flight with it. They are made again, each alone, so that a call that kills its
    worker is found out and comes out as `Lost` while the others end well.

    Args:
        workforce: where calls are made.
        function: what is called; it must pickle, and so must its arguments.
    """

    def __init__(self, workforce: Workforce, function: Callable[..., R]) -> None:
        self._workforce = workforce
        self._function = function
        self._running: dict[Future[R], _Call[K]] = {}
        self._waiting: list[_Call[K]] = []

    def __len__(self) -> int:
        return len(self._running) + len(self._waiting)

    def start(self, key: K, *args: object) -> None:
        """Make a call, to be known by `key`; while another one is under suspicion, it waits."""
        call: _Call[K] = _Call(key, args)
        if self._waiting or self._suspicious:
            self._waiting.append(call)
        else:
            self._submit(call)

    def finished(self, *, timeout: float | None = None) -> Iterator[tuple[K, R | Lost]]:
        """Yield what has finished, after waiting for at least one or for `timeout` seconds.

        What a call raised is raised here.
        """
        self._let_in()
        ready = wait(self._running, timeout=timeout, return_when=FIRST_COMPLETED).done
        broken = []
        for future in [future for future in self._running if future in ready]:
            call = self._running.pop(future)
            try:
                result = future.result()
            except BrokenExecutor:
                broken.append(call)
            else:
                yield call.key, result
        if broken:
            yield from self._recover(broken)

    def withdraw(self) -> None:
        """Forget the calls that no worker has taken yet."""
        self._waiting.clear()
        self._running = {future: call for future, call in self._running.items() if not future.cancel()}

    def abandon(self) -> None:
        """Forget everything in flight; workers in the middle of it are killed, and others have to start."""
        if len(self):
            self._running.clear()
            self._waiting.clear()
            self._workforce.renew()

    @property
    def _suspicious(self) -> bool:
        """Whether a call is running that has lost a worker before."""
        return any(call.losses for call in self._running.values())

    def _submit(self, call: _Call[K]) -> bool:
        """Make a call, or have it wait where the futures of others will tell that their workers are gone."""
        try:
            future = self._workforce.submit(self._function, *call.args)
        except BrokenExecutor:
            if self._running:
                self._waiting.append(call)
                return False
            self._workforce.renew()
            future = self._workforce.submit(self._function, *call.args)
        self._running[future] = call
        return True

    def _let_in(self) -> None:
        """Make calls that wait: one under suspicion when nothing else runs, others together."""
        while self._waiting:
            call = self._waiting[0]
            if self._running and (call.losses or self._suspicious):
                return
            self._waiting.remove(call)
            if not self._submit(call):
                return

    def _recover(self, broken: list[_Call[K]]) -> list[tuple[K, Lost]]:
        """Replace the workers, and let lost calls wait for their next attempt; return those given up."""
        lost = [*broken, *self._running.values()]
        self._running.clear()
        self._workforce.renew()
        _log.warning("A worker process died; what was in flight (%d) is started again, one by one.", len(lost))
        for call in lost:
            call.losses += 1
        self._waiting = [call for call in lost if call.losses < ATTEMPTS] + self._waiting
        return [(call.key, Lost(ATTEMPTS)) for call in lost if call.losses >= ATTEMPTS]
