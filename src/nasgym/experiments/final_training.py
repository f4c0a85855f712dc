"""Final training of a few networks on an executor, each kept as soon as it is done."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nasgym.architectures import Architecture, architecture_id
from nasgym.evaluation import Completed, EvaluationKey, EvaluationRequest, Failed, FailureKind, Metrics, Outcome
from nasgym.evaluation.recipes import Profile
from nasgym.executors import Calls, Hung, Lost, Workforce, lost_worker
from nasgym.experiments.clock import SAFETY
from nasgym.experiments.workspace import Workspace
from nasgym.store import Step, Store
from nasgym.tasks import Fidelity, ImageTask

FINALISTS = "final"
"""Phase of a run's steps in which the best candidates get their final training."""
RANDOM = "random"
"""Phase in which a random network gets the same, to be compared with."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FinalSettings:
    """How every network of a final round is trained.

    Attributes:
        profile: its final recipe is followed.
        epochs: of each training.
        end: reading of `time.monotonic` by which all trainings have to end, so that they plan fewer epochs if need be;
            `None` for no limit.
        device: `auto`, `cpu` or `cuda`.
        seed: of the trainings.
    """

    profile: Profile
    epochs: int
    end: float | None
    device: str
    seed: int

    def estimator(self, run: str) -> str:
        """Return the fingerprint under which outcomes are kept; those of limited time are of one run only."""
        limited = "" if self.end is None else f":{run}"
        return f"final:{self.profile.name}:{self.profile.final_fingerprint}{limited}"

    def time_limit(self, rounds: int) -> float | None:
        """Return the seconds for a training that starts now and is the first of so many that a worker has to do."""
        if self.end is None:
            return None
        return max(1.0, (self.end - time.monotonic()) / (SAFETY * rounds))


@dataclass(frozen=True, slots=True)
class FinalJob:
    """One network to train.

    Attributes:
        phase: `FINALISTS` or `RANDOM`.
        number: of the step in the phase: for a finalist, that of its step in the search.
        architecture: what to train.
        rounds: trainings that its worker has to do from this one on.
    """

    phase: str
    number: int
    architecture: Architecture
    rounds: int = 1


@dataclass(frozen=True, slots=True)
class FinalRound:
    """The final trainings of one run.

    Attributes:
        settings: how.
        task: what networks are trained on.
        store: where outcomes are kept.
        run: id of the run in the store.
        workspace: where weights are kept.
    """

    settings: FinalSettings
    task: ImageTask
    store: Store
    run: str
    workspace: Workspace

    def train(self, jobs: Sequence[FinalJob], workforce: Workforce) -> Iterator[Step]:
        """Train those that no earlier part of the run has trained; yield each step once its weights are safe."""
        known = {
            (step.phase, step.number): step
            for phase in (FINALISTS, RANDOM)
            for step in self.store.steps(self.run, phase=phase)
        }
        calls: Calls[FinalJob, Outcome] = Calls(workforce, train_and_save)
        for job in jobs:
            path = self.weights(job.architecture)
            step = known.get((job.phase, job.number))
            if step is not None and (path.exists() or isinstance(step.outcome, Failed)):
                yield step
            else:
                path.parent.mkdir(exist_ok=True)
                calls.start(job, self.settings, self.task, job, path)
            yield from self._finished(calls, timeout=0)
        while len(calls):
            yield from self._finished(calls)

    def _finished(self, calls: Calls[FinalJob, Outcome], timeout: float | None = None) -> Iterator[Step]:
        for job, outcome in calls.finished(timeout=timeout):
            yield self._keep(job, lost_worker(outcome) if isinstance(outcome, Lost | Hung) else outcome)

    def weights(self, architecture: Architecture) -> Path:
        """Return where the weights of `architecture` are kept."""
        return self.workspace.trained(self._id(architecture))

    def _id(self, architecture: Architecture) -> str:
        return architecture_id(architecture, self.settings.profile.network.leaves)

    def _keep(self, job: FinalJob, outcome: Outcome) -> Step:
        settings = self.settings
        fidelity = Fidelity(settings.epochs, self.task.input_shape[0])
        request = EvaluationRequest(job.architecture, self.task, fidelity, settings.seed)
        key = EvaluationKey(
            architecture_id=self._id(job.architecture),
            data=self.task.fingerprint,
            epochs=fidelity.epochs,
            resolution=fidelity.resolution,
            samples=0,
            estimator=settings.estimator(self.run),
            seed=settings.seed,
        )
        _log.info("Final training of %s ended: %s", job.architecture, type(outcome).__name__.lower())
        return self.store.record_step(self.run, job.number, request, key, outcome, from_store=False, phase=job.phase)


def train_and_save(settings: FinalSettings, task: ImageTask, job: FinalJob, path: Path) -> Outcome:
    """Train the network of `job` in this process and write its weights to `path`; return its validation accuracy."""
    from nasgym.evaluation.checkpoints import save_checkpoint
    from nasgym.evaluation.final import FinalTraining, train_final
    from nasgym.evaluation.fitting import TrainingFailedError
    from nasgym.evaluation.training import is_out_of_memory

    limit = settings.time_limit(job.rounds)
    how = FinalTraining(epochs=settings.epochs, time_limit=limit, device=settings.device, threads=1)
    try:
        trained = train_final(task, job.architecture, settings.profile, settings.seed, how=how)
    except TrainingFailedError as error:
        return Failed(error.kind, str(error))
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return Failed(FailureKind.OUT_OF_MEMORY, f"No memory left in the final training: {error}")
    save_checkpoint(trained, path)
    metrics = Metrics(
        train_losses=tuple(epoch.train_loss for epoch in trained.epochs),
        validation_losses=tuple(epoch.validation.loss for epoch in trained.epochs),
        validation_accuracies=tuple(epoch.validation.accuracy for epoch in trained.epochs),
        seconds=trained.seconds,
        parameters=trained.plan.parameters,
        flops=trained.plan.flops,
        density=trained.plan.density,
    )
    return Completed(trained.validation.accuracy, metrics)
