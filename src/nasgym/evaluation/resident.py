"""Values that calls carry along and workers keep: an estimator with what it has loaded, a task with its images."""

import hashlib
import pickle
from functools import cached_property
from typing import Any, Generic, TypeVar

from nasgym.architectures import Architecture
from nasgym.evaluation.outcome import Outcome
from nasgym.evaluation.request import Estimator, EvaluationRequest
from nasgym.tasks import Fidelity, Task

T = TypeVar("T")


class Resident(Generic[T]):
    """A value that each worker of `nasgym.executors` is sent once and keeps, however many calls bring it along.

    On any other executor it is an argument like others.

    Args:
        value: pickles, where it is to reach another process.
    """

    def __init__(self, value: T) -> None:
        self.value = value

    @cached_property
    def content(self) -> bytes:
        """The value, pickled."""
        return pickle.dumps(self.value, pickle.HIGHEST_PROTOCOL)

    @cached_property
    def name(self) -> str:
        """Hash of the content: what is pickled alike is kept once."""
        return hashlib.blake2b(self.content, digest_size=16).hexdigest()

    def __reduce__(self) -> tuple[Any, ...]:
        return Resident, (self.value,)


def evaluate_resident(
    estimator: Resident[Estimator], task: Resident[Task], architecture: Architecture, fidelity: Fidelity, seed: int
) -> Outcome:
    """Evaluate a request that travels in parts, so that what many requests share is kept where they are evaluated."""
    return estimator.value.evaluate(EvaluationRequest(architecture, task.value, fidelity, seed))


class Luggage:
    """Makes requests into the arguments of `evaluate_resident`; equal tasks are packed once.

    Args:
        estimator: evaluates.
    """

    def __init__(self, estimator: Estimator) -> None:
        self._estimator: Resident[Estimator] = Resident(estimator)
        self._tasks: dict[int, Resident[Task]] = {}

    def arguments(
        self, request: EvaluationRequest
    ) -> tuple[Resident[Estimator], Resident[Task], Architecture, Fidelity, int]:
        """Return what to call `evaluate_resident` with."""
        task = self._tasks.setdefault(id(request.task), Resident(request.task))  # which keeps it, and so its id
        return self._estimator, task, request.architecture, request.fidelity, request.seed
