"""Executors on this machine: the calling process, or a pool of spawned ones."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from multiprocessing import connection, resource_tracker
from typing import ParamSpec, TypeVar

from nasgym.executors.parcels import Desk, Parcel
from nasgym.executors.workers import WorkerExecutor, WorkerKilledError, WorkerLostError

P = ParamSpec("P")
T = TypeVar("T")

_ENDING_SECONDS = 10.0
"""Time for a process to end once it is told to."""


class InProcessExecutor(Executor):
    """Runs each call at once, in the calling thread."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run `fn` and return its finished future."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - a future carries whatever the call raised to whoever asks for it
            future.set_exception(error)
        return future


class ProcessWorker:
    """A spawned process on this machine. It dies with its parent."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), name="nasgym worker")
        with _ctrl_c_blocked():
            self._process.start()
        theirs.close()

    def get_ready(self) -> None:
        """Wait until the process has started.

        Raises:
            WorkerLostError: it ended first.
        """
        self._receive()

    def make(self, parcel: Parcel) -> bytes:
        """Have the process make a call; return the answer.

        Raises:
            WorkerLostError: the process ended, or was killed.
        """
        contents = {resident.name: resident.content for resident in parcel.residents}
        try:
            self._connection.send((parcel.call, contents, parcel.dropped))
        except OSError as error:
            raise self._lost() from error
        return self._receive()

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def close(self) -> None:
        """Let the process end."""
        self._connection.close()
        self._process.join(_ENDING_SECONDS)
        self._process.kill()

    def _receive(self) -> bytes:
        try:
            if self._connection in connection.wait([self._connection, self._process.sentinel]):
                return self._connection.recv_bytes()
        except (EOFError, OSError) as error:
            raise self._lost() from error
        raise self._lost()

    def _lost(self) -> WorkerLostError:
        self._process.join(_ENDING_SECONDS)
        self._connection.close()
        code, who = self._process.exitcode, f"Worker process {self._process.pid}"
        if code is not None and code < 0:
            return WorkerKilledError(f"{who} was ended by {_signal_name(-code)}.")
        return WorkerLostError(f"{who} ended with exit code {code}.")


def local_executor(workers: int) -> Executor:
    """Return an executor with `workers` processes; 0 workers: the calling process."""
    return WorkerExecutor(workers, ProcessWorker) if workers else InProcessExecutor()


def usable_cores() -> int:
    """Return the number of processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _ctrl_c_blocked() -> Iterator[None]:
    """Let a process that is started here begin with Ctrl-C blocked: it is for the parent, which stops its processes."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # every spawned process needs it, and to start it unblocks Ctrl-C
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _signal_name(number: int) -> str:
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"


def _serve(requests: "connection.Connection[bytes, tuple[bytes, dict[str, bytes], tuple[str, ...]]]") -> None:
    """Make calls until there are no more, or the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    desk = Desk()
    try:
        requests.send_bytes(b"ready")
        while True:
            call, contents, dropped = requests.recv()
            requests.send_bytes(desk.make(call, contents, dropped))
    except (EOFError, OSError):  # the parent has no more calls, or is gone
        return


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
