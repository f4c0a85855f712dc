"""Executors on this machine: the calling process, or a pool of spawned ones."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


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


class _Pool(ProcessPoolExecutor):
    """Its processes, which start when there is work, never see Ctrl-C: that is for the parent, which stops them."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        with _interrupt_held_back():
            return super().submit(fn, *args, **kwargs)


def local_executor(workers: int) -> Executor:
    """Return an executor with `workers` processes; 0 workers: the calling process."""
    if workers == 0:
        return InProcessExecutor()
    context = multiprocessing.get_context("spawn")
    return _Pool(workers, mp_context=context, initializer=_start_worker)


def close_executor(executor: Executor, *, wait: bool) -> None:
    """Shut `executor` down; without `wait`, its processes are killed in the middle of what they do."""
    processes = list((getattr(executor, "_processes", None) or {}).values())
    executor.shutdown(wait=wait, cancel_futures=True)
    if not wait:
        for process in processes:
            process.kill()


def usable_cores() -> int:
    """Return the number of processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _interrupt_held_back() -> Iterator[None]:
    """Block SIGINT, so that a process that starts inside has it blocked; the parent gets it afterwards."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker() -> None:
    """Ignore Ctrl-C, and die with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
