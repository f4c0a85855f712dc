"""An executor over workers that may die: each makes one call at a time, so that a death is that call's alone."""

import atexit
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import Any, ParamSpec, Protocol, TypeVar

from nasgym.core.errors import NasgymError
from nasgym.executors.parcels import Parcel, Parcels, settle

LOSSES = 3
"""Times that a call is made before the death of its worker is put down to the call itself."""
START_ATTEMPTS, MOST_STARTS = 3, 10
"""Times that a worker is started before it is put down to the surroundings that none gets ready: where they end by
themselves, as in a script without a main guard, and where they are killed."""
CLOSING_SECONDS = 10.0
"""Time for the threads of an executor to see that their workers have been killed."""

_log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class WorkerLostError(BrokenExecutor):
    """Every worker that made a call has died, or the last one was killed; the executor goes on with others."""


class WorkerKilledError(WorkerLostError):
    """The worker was ended by a signal from outside or by a fault; it did not end by itself."""


class NoWorkerError(NasgymError):
    """No worker gets ready."""


class Worker(Protocol):
    """A process somewhere that makes calls, one at a time."""

    def get_ready(self) -> None:
        """Wait until it can make calls.

        Raises:
            WorkerLostError: it died first.
        """
        ...

    def make(self, parcel: Parcel) -> bytes:
        """Have it make a call, by a `Desk`; return the answer.

        Raises:
            WorkerLostError: it died, or was killed.
        """
        ...

    def kill(self) -> None:
        """End it at once, in the middle of what it does; from any thread, at any time, more than once."""
        ...

    def close(self) -> None:
        """End it, now that it makes no call."""
        ...


class Work(Future[T]):
    """A call on its way; says for how long a worker has been at it, and can be stopped in the middle.

    Args:
        function: to be called.
        args: its arguments.
        kwargs: its keyword arguments.
    """

    def __init__(self, function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        super().__init__()
        self.call = (function, args, kwargs)
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self._since = 0.0
        self._killed = False
        self._losses = 0

    @property
    def seconds(self) -> float:
        """For how long a worker has been at it; 0 before and after."""
        with self._lock:
            return 0.0 if self._worker is None else time.monotonic() - self._since

    def kill(self) -> None:
        """Kill the worker that is at it, if one is: the future raises `WorkerLostError`."""
        with self._lock:
            if self._worker is not None:
                self._killed = True
                self._worker.kill()

    def lose(self) -> bool:
        """Note that the worker is gone; return whether another one is to try."""
        with self._lock:
            self._worker = None
            self._losses += 1
            return not self._killed and self._losses < LOSSES

    def at(self, worker: Worker | None) -> None:
        """Note who is at it from now on."""
        with self._lock:
            self._worker, self._since = worker, time.monotonic()


class WorkerExecutor(Executor):
    """Makes calls on workers, which start when there is work for them and are replaced when they die.

    A call whose worker dies is made by another one, `LOSSES` times in all. No call is sent ahead: what no worker has
    taken yet stays here and can be cancelled.

    Args:
        workers: at most so many at once.
        start: starts one.
    """

    def __init__(self, workers: int, start: Callable[[], Worker]) -> None:
        self._most = workers
        self._start = start
        self._waiting: deque[Work[Any]] = deque()
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._workers: set[Worker] = set()
        self._starting: set[Worker] = set()
        self._idle = 0
        self._closed = self._killed = False
        atexit.register(self.kill)  # before multiprocessing waits for its processes

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Work[T]:
        """Have `fn` called by the next worker that is free."""
        work = Work(fn, args, kwargs)
        with self._changed:
            if self._closed:
                raise RuntimeError("This executor is shut down; make another one.")
            self._waiting.append(work)
            if self._idle < len(self._waiting) and len(self._threads) < self._most:
                thread = threading.Thread(target=self._employ, daemon=True, name="nasgym worker")
                self._threads.append(thread)
                self._idle += 1
                thread.start()
            self._changed.notify()
        return work

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no further calls, and let the workers end once none is waiting."""
        with self._changed:
            self._closed = True
            cancelled = [*self._waiting] if cancel_futures else []
            if cancel_futures:
                self._waiting.clear()
            self._changed.notify_all()
        for work in cancelled:
            if work.cancel():
                work.set_running_or_notify_cancel()  # which tells those who wait for it
        if wait:
            for thread in self._threads:
                thread.join()
            atexit.unregister(self.kill)

    def kill(self) -> None:
        """Stop at once: workers are killed in the middle of what they do."""
        self.shutdown(wait=False, cancel_futures=True)
        with self._changed:
            self._killed = True
            workers = list(self._workers)
        for worker in workers:
            worker.kill()
        end = time.monotonic() + CLOSING_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        atexit.unregister(self.kill)

    def _employ(self) -> None:
        """Have one worker after another make the calls that wait: what a thread of the executor does."""
        worker, parcels = None, Parcels()
        while self._work_waits():
            if worker is None:
                try:
                    worker, parcels = self._ready_worker(), Parcels()
                except Exception as error:  # noqa: BLE001 - whoever waits for a call is told why nobody makes it
                    self._fail_next(error)
                    continue
            work = self._take()
            if work is None:
                continue
            lost = _make(work, worker, parcels)
            with self._changed:
                self._idle += 1
            if lost is not None:
                self._recover(work, lost)
                self._dismiss(worker)
                worker = None
        if worker is not None:
            worker.close()
            self._dismiss(worker)
        with self._changed:
            unneeded = list(self._starting)
        for starting in unneeded:
            starting.kill()

    def _work_waits(self) -> bool:
        """Wait for work; return whether there is any, rather than the end."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            return bool(self._waiting)

    def _take(self) -> Work[Any] | None:
        """Return the call that has waited longest; `None` if other threads have taken them all."""
        with self._changed:
            if not self._waiting:
                return None
            work = self._waiting.popleft()
            if not work.running() and not work.set_running_or_notify_cancel():
                return None
            self._idle -= 1
            return work

    def _fail_next(self, error: Exception) -> None:
        work = self._take()
        if work is not None:
            with self._changed:
                self._idle += 1
            work.set_exception(error)

    def _recover(self, work: Work[Any], lost: WorkerLostError) -> None:
        """Let another worker make a call, unless it has cost enough of them."""
        again = work.lose()
        with self._changed:
            if again and not self._killed:
                _log.warning("%s What it was at is started again.", lost)
                self._waiting.appendleft(work)
                self._changed.notify()
                return
        work.set_exception(lost)

    def _ready_worker(self) -> Worker:
        ended = starts = 0
        while True:
            worker = self._start()
            with self._changed:
                self._workers.add(worker)
                self._starting.add(worker)
            if self._needs_no_more:
                worker.kill()
            try:
                worker.get_ready()
            except WorkerLostError as error:
                starts += 1
                ended += not isinstance(error, WorkerKilledError)
                self._dismiss(worker)
                if self._needs_no_more or ended == START_ATTEMPTS or starts == MOST_STARTS:
                    raise NoWorkerError(
                        f"No worker gets ready: {starts} ended at once, the last one so: {error} "
                        'A script that uses workers needs `if __name__ == "__main__":` around what it does.'
                    ) from error
            else:
                with self._changed:
                    self._starting.discard(worker)
                return worker

    @property
    def _needs_no_more(self) -> bool:
        """Whether a worker that starts would find nothing to do."""
        with self._changed:
            return self._killed or (self._closed and not self._waiting)

    def _dismiss(self, worker: Worker) -> None:
        with self._changed:
            self._workers.discard(worker)
            self._starting.discard(worker)


def _make(work: Work[Any], worker: Worker, parcels: Parcels) -> WorkerLostError | None:
    """Have `worker` make a call, and keep what comes out; return how the worker was lost, if it was."""
    try:
        parcel = parcels.pack(*work.call)
    except Exception as error:  # noqa: BLE001 - what does not pickle is for whoever asked for the call
        work.set_exception(error)
        return None
    work.at(worker)
    try:
        answer = worker.make(parcel)
    except WorkerLostError as error:
        return error
    work.at(None)
    settle(work, answer)
    return None
