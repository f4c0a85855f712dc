"""What is asked of an estimator, and the key under which the answer is kept."""

from dataclasses import dataclass
from typing import Protocol

from nasgym.architectures import Architecture, architecture_id
from nasgym.evaluation.outcome import Outcome
from nasgym.networks.profiles import NetworkProfile
from nasgym.tasks import Fidelity, Task


@dataclass(frozen=True, slots=True)
class EvaluationKey:
    """Everything that may decide an outcome, and nothing else; equal keys mean equal outcomes.

    Attributes:
        architecture_id: canonical id under the estimator's network profile.
        data: fingerprint of the task's data and split.
        epochs: passes over the training images.
        resolution: side of the images, pixels.
        samples: training images used; 0 for all of them.
        estimator: fingerprint of the estimator.
        seed: evaluation seed.
    """

    architecture_id: str
    data: str
    epochs: int
    resolution: int
    samples: int
    estimator: str
    seed: int


@dataclass(frozen=True)
class EvaluationRequest:
    """One network to evaluate on one task.

    Attributes:
        architecture: any architecture; the estimator builds its canonical form.
        task: the task; estimators that train need an `ImageTask`.
        fidelity: how thoroughly.
        seed: evaluation seed: initialisation, order of images, dropout.
    """

    architecture: Architecture
    task: Task
    fidelity: Fidelity
    seed: int

    @classmethod
    def of(cls, architecture: Architecture, task: Task, *, repeat: int = 0) -> "EvaluationRequest":
        """Return the request for `architecture` at the task's own fidelity; repeats take the next seeds."""
        return cls(architecture, task, task.fidelity, task.evaluation_seed + repeat)

    def key(self, estimator: "Estimator") -> EvaluationKey:
        """Return the key under which `estimator`'s answer is kept."""
        return EvaluationKey(
            architecture_id=architecture_id(self.architecture, estimator.profile.leaves),
            data=self.task.fingerprint,
            epochs=self.fidelity.epochs,
            resolution=self.fidelity.resolution,
            samples=self.fidelity.samples or 0,
            estimator=estimator.fingerprint,
            seed=self.seed,
        )


class Estimator(Protocol):
    """Something that tells how good a network is. Third parties register theirs under `nasgym.estimators`."""

    @property
    def fingerprint(self) -> str:
        """Short text that changes whenever the same request could be answered differently."""
        ...

    @property
    def profile(self) -> NetworkProfile:
        """How architectures become networks here: shapes, ids and costs follow from it."""
        ...

    def evaluate(self, request: EvaluationRequest) -> Outcome:
        """Evaluate one network. A network that fails is `Failed`; a bug raises."""
        ...


class OutcomeCache(Protocol):
    """Where outcomes are kept; a store is one, and so is a dictionary in a test."""

    def get(self, key: EvaluationKey) -> Outcome | None:
        """Return the outcome kept under `key`, or `None`."""
        ...

    def put(self, request: EvaluationRequest, key: EvaluationKey, outcome: Outcome) -> None:
        """Keep `outcome`; when this returns it is safe from any kill."""
        ...
