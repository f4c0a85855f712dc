"""Final training of a few networks on an executor, each kept as soon as it is done."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nasgym.architectures import Architecture, architecture_id, canonical
from nasgym.evaluation import Completed, EvaluationKey, EvaluationRequest, Failed, FailureKind, Metrics, Outcome
from nasgym.evaluation.feasibility import beyond_cap
from nasgym.evaluation.recipes import Profile
from nasgym.executors import Calls, Hung, Lost, Patience, Workforce, lost_worker
from nasgym.executors.patience import TRAINING_FLOPS
from nasgym.experiments.clock import SAFETY
from nasgym.experiments.workspace import Workspace
from nasgym.networks.plan import plan
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
    """Final trainings of one run that are done in the same way.

    Attributes:
        settings: how.
        task: what networks are trained on.
        store: where outcomes are kept.
        run: id of the run in the store.
        workspace: where weights are kept; `None` where nobody needs them.
    """

    settings: FinalSettings
    task: ImageTask
    store: Store
    run: str
    workspace: Workspace | None

    def train(self, jobs: Sequence[FinalJob], workforce: Workforce) -> Iterator[Step]:
        """Train those that no earlier part of the run has trained; yield each step once its weights are safe."""
        return train_all([(self, job) for job in jobs], workforce)

    def weights(self, architecture: Architecture) -> Path | None:
        """Return where the weights of `architecture` are kept; `None` where nobody needs them."""
        return None if self.workspace is None else self.workspace.trained(self._id(architecture))

    def _id(self, architecture: Architecture) -> str:
        return architecture_id(architecture, self.settings.profile.network.leaves)

    def known(self) -> dict[tuple[str, int], Step]:
        """Return what earlier parts of the run have trained, by phase and number."""
        return {
            (step.phase, step.number): step
            for phase in (FINALISTS, RANDOM)
            for step in self.store.steps(self.run, phase=phase)
        }

    def request(self, job: FinalJob) -> EvaluationRequest:
        """Return what a job asks for."""
        fidelity = Fidelity(self.settings.epochs, self.task.input_shape[0])
        return EvaluationRequest(job.architecture, self.task, fidelity, self.settings.seed)

    def keep(self, job: FinalJob, outcome: Outcome) -> Step:
        """Keep what came of a job."""
        settings, request = self.settings, self.request(job)
        key = EvaluationKey(
            architecture_id=self._id(job.architecture),
            data=self.task.fingerprint,
            epochs=request.fidelity.epochs,
            resolution=request.fidelity.resolution,
            samples=0,
            estimator=settings.estimator(self.run),
            seed=settings.seed,
        )
        _log.info("Final training of %s ended: %s", job.architecture, type(outcome).__name__.lower())
        return self.store.record_step(self.run, job.number, request, key, outcome, from_store=False, phase=job.phase)


def train_all(jobs: Sequence[tuple[FinalRound, FinalJob]], workforce: Workforce) -> Iterator[Step]:
    """Train the networks of one or several rounds of one run side by side, as `FinalRound.train` does.

    A training that hangs, by its predicted cost, fails as one.
    """
    known = jobs[0][0].known() if jobs else {}
    patience = {
        final.settings.profile: Patience(final.settings.profile.network, speed=TRAINING_FLOPS) for final, _ in jobs
    }
    calls: Calls[tuple[FinalRound, FinalJob], Outcome] = Calls(
        workforce, train_and_save, limit=lambda job: patience[job[0].settings.profile].limit(job[0].request(job[1]))
    )
    for final, job in jobs:
        path = final.weights(job.architecture)
        step = known.get((job.phase, job.number))
        if step is not None and (path is None or path.exists() or isinstance(step.outcome, Failed)):
            yield step
        else:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            calls.start((final, job), final.settings, final.task, job, path)
        yield from _finished(calls, timeout=0)
    while len(calls):
        yield from _finished(calls)


def _finished(calls: Calls[tuple[FinalRound, FinalJob], Outcome], timeout: float | None = None) -> Iterator[Step]:
    for (final, job), outcome in calls.finished(timeout=timeout):
        yield final.keep(job, lost_worker(outcome) if isinstance(outcome, Lost | Hung) else outcome)


def train_and_save(settings: FinalSettings, task: ImageTask, job: FinalJob, path: Path | None) -> Outcome:
    """Train the network of `job` in this process, and write its weights to `path`; return its validation accuracy.

    One that is too large for the profile, whose final networks may be wider than those of the search, fails as such.
    """
    from nasgym.evaluation.checkpoints import save_checkpoint
    from nasgym.evaluation.final import FinalTraining, train_final
    from nasgym.evaluation.fitting import TrainingFailedError
    from nasgym.evaluation.training import is_out_of_memory

    profile = settings.profile.network
    planned = plan(canonical(job.architecture, profile.leaves), task.input_shape, task.n_classes, profile)
    too_large = beyond_cap(planned)
    if too_large is not None:
        return too_large
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
    if path is not None:
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
