"""What a meta-training or meta-test happens in: whoever watches, folders, worker processes."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nasgym.executors import ProcessWorker, WorkerExecutor, usable_cores
from nasgym.experiments.meta.events import Listener
from nasgym.experiments.meta.tasks import Source


@dataclass(frozen=True)
class MetaSurroundings:
    """What a meta-training does not depend on, but happens in.

    Attributes:
        command: what repeats it, for the report.
        listener: told what happens.
        stopping: asked after every update whether to stop there, with a checkpoint.
        decoding: called with the number of images decoded so far.
        cache_dir: where decoded images are kept; the user's cache folder by default.
        started: reading of `time.monotonic` from which time counts; now, by default.
    """

    command: str
    listener: Listener = lambda _: None
    stopping: Callable[[], bool] = lambda: False
    decoding: Callable[[int], None] = lambda _: None
    cache_dir: Path | None = None
    started: float = field(default_factory=time.monotonic)


@contextmanager
def training_executor(workers: int | None, source: Source) -> Iterator[Executor | None]:
    """Give an executor for networks that are really trained; `None` where there are none, or no processes."""
    number = usable_cores() if workers is None else workers
    if number == 0 or not source.is_live:
        yield None
        return
    executor = WorkerExecutor(number, ProcessWorker)
    try:
        yield executor
        executor.shutdown()
    finally:
        executor.kill()
