"""Executors on this machine: the calling process, or a pool of spawned ones."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
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


def local_executor(workers: int, *, threads: int = 1) -> Executor:
    """Return an executor with `workers` processes of `threads` threads each; 0 workers: the calling process."""
    if workers == 0:
        return InProcessExecutor()
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(threads,))


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


def _start_worker(threads: int) -> None:
    """Leave Ctrl-C to the parent, which stops its workers; die with the parent; limit the threads."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    import torch

    torch.set_num_threads(threads)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
