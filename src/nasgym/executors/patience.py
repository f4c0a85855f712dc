"""How long an evaluation may take before it counts as hung, by its cost and by what others have taken. No torch."""

import statistics
from functools import lru_cache, partial

from nasgym.architectures import Architecture
from nasgym.core.errors import PlanError
from nasgym.evaluation import Completed, EvaluationRequest, Outcome
from nasgym.networks.plan import plan
from nasgym.networks.profiles import NetworkProfile
from nasgym.tasks import ImageTask

FACTOR = 10.0
"""An evaluation hangs that takes so many times as long as predicted."""
LEAST_SECONDS = 60.0
"""None hangs that takes less."""
TRAINING_FLOPS = 2e9
"""FLOPs that every core does in a second of training, as far as is known before any evaluation has finished: a tenth of
what slow ones do."""


class Patience:
    """Predicts seconds from planned FLOPs × images × epochs, calibrated by the evaluations that completed.

    Only a process that hangs is to be found out: whatever is slow for any other reason gets its time.

    Args:
        profile: how architectures become networks.
        speed: work done in a second at least, before any evaluation has completed; `None`: no limit until then.
    """

    def __init__(self, profile: NetworkProfile, *, speed: float | None = None) -> None:
        self._speed = speed
        self._seconds: list[float] = []
        self._per_work: list[float] = []
        self._flops = lru_cache(4096)(partial(_flops, profile))

    def learn(self, request: EvaluationRequest, outcome: Outcome) -> None:
        """Calibrate by an outcome; those known from a store do not count, nor do failures."""
        if isinstance(outcome, Completed) and outcome.metrics.seconds > 0:
            self._seconds.append(outcome.metrics.seconds)
            self._per_work.append(outcome.metrics.seconds / self.work(request))

    def limit(self, request: EvaluationRequest) -> float | None:
        """Return the seconds that an evaluation may take at work; `None` if there is nothing to tell by."""
        work = self.work(request)
        if self._seconds:
            predicted = max(statistics.median(self._seconds), work * statistics.median(self._per_work))
        elif self._speed is not None:
            predicted = work / self._speed
        else:
            return None
        return max(LEAST_SECONDS, FACTOR * predicted)

    def work(self, request: EvaluationRequest) -> float:
        """Return the FLOPs of a training: of a pass forwards, three times for a step, for every image and epoch."""
        task, fidelity = request.task, request.fidelity
        images = len(task.split.train) if isinstance(task, ImageTask) else fidelity.samples or 1
        shape = (fidelity.resolution, fidelity.resolution, task.input_shape[2])
        flops = self._flops(request.architecture, shape, task.n_classes)
        return 3.0 * flops * min(images, fidelity.samples or images) * fidelity.epochs


def _flops(profile: NetworkProfile, architecture: Architecture, shape: tuple[int, int, int], n_classes: int) -> int:
    """Return the FLOPs of one image; 1 where they cannot be told."""
    if not architecture.skeleton.is_built:
        return 1
    try:
        return max(1, plan(architecture, shape, n_classes, profile).flops)
    except PlanError:
        return 1
