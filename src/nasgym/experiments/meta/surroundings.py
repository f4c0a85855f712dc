"""What a meta-training or meta-test happens in: whoever watches, folders, worker processes."""

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nasgym.evaluation import EvaluationKey, EvaluationRequest, Outcome, OutcomeCache
from nasgym.evaluation.outcome import in_words
from nasgym.executors import ProcessWorker, WorkerExecutor, usable_cores
from nasgym.experiments.meta.config import WorkerSettings
from nasgym.experiments.meta.events import Listener
from nasgym.experiments.meta.tasks import Source

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MetaSurroundings:
    """What a meta-training does not depend on, but happens in.

    Attributes:
        command: what repeats it, for the report.
        listener: told what happens.
        stopping: asked after every update whether to stop there, with a checkpoint.
        evaluated: called for every network that is trained.
        decoding: called with the number of images decoded so far.
        cache_dir: where decoded images are kept; the user's cache folder by default.
        started: reading of `time.monotonic` from which time counts; now, by default.
    """

    command: str
    listener: Listener = lambda _: None
    stopping: Callable[[], bool] = lambda: False
    evaluated: Callable[[], None] = lambda: None
    decoding: Callable[[int], None] = lambda _: None
    cache_dir: Path | None = None
    started: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class Heard:
    """A cache that tells of every outcome that it is given to keep, and logs it.

    Attributes:
        cache: that keeps them.
        hear: called for each.
    """

    cache: OutcomeCache
    hear: Callable[[], None]

    def get(self, key: EvaluationKey) -> Outcome | None:
        """Return the outcome kept under `key`, or `None`."""
        return self.cache.get(key)

    def put(self, request: EvaluationRequest, key: EvaluationKey, outcome: Outcome) -> None:
        """Keep `outcome`, and tell."""
        self.cache.put(request, key, outcome)
        _log.info("Trained %s on %s: %s", request.architecture, request.task.name, in_words(outcome))
        self.hear()


@contextmanager
def training_executor(settings: WorkerSettings, source: Source) -> Iterator[Executor | None]:
    """Give an executor for networks that are really trained; `None` where there are none, or no workers.

    Raises:
        RayError: Ray is not installed, cannot be reached, or has no room for a worker.
    """
    if settings.workers == 0 or not source.is_live:
        yield None
        return
    executor = worker_executor(settings)
    try:
        yield executor
        executor.shutdown()
    finally:
        executor.kill()


def worker_executor(settings: WorkerSettings) -> WorkerExecutor:
    """Return an executor with as many workers as the settings say.

    Raises:
        RayError: Ray is not installed, cannot be reached, or has no room for a worker.
    """
    if settings.executor == "ray":
        from nasgym.executors.ray_cluster import RaySettings, ray_executor

        return ray_executor(settings.workers, RaySettings(settings.ray.address, gpus=settings.ray.gpus_per_worker))
    return WorkerExecutor(usable_cores() if settings.workers is None else settings.workers, ProcessWorker)
