"""Final training of a few networks on an executor, each kept as soon as it is done."""

from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from dataclasses import dataclass
from pathlib import Path

from nasgym.architectures import Architecture, architecture_id
from nasgym.evaluation import Completed, EvaluationKey, EvaluationRequest, Failed, FailureKind, Metrics, Outcome
from nasgym.evaluation.recipes import Profile
from nasgym.experiments.workspace import Workspace
from nasgym.store import Step, Store
from nasgym.tasks import Fidelity, ImageTask

PHASE = "final"
"""Phase of a run's steps in which networks get their final training."""


@dataclass(frozen=True, slots=True)
class FinalSettings:
    """How every network of a final round is trained.

    Attributes:
        profile: its final recipe is followed.
        epochs: of each training.
        time_limit: seconds for each training, which then plans fewer epochs; `None` for no limit.
        device: `auto`, `cpu` or `cuda`.
        seed: of the trainings.
    """

    profile: Profile
    epochs: int
    time_limit: float | None
    device: str
    seed: int

    @property
    def estimator(self) -> str:
        """Fingerprint under which outcomes are kept: apart from those of the search."""
        limit = "" if self.time_limit is None else f":limit={self.time_limit:.1f}"
        return f"final:{self.profile.name}:{self.profile.final_fingerprint}{limit}"


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

    def train(self, architectures: Sequence[Architecture], executor: Executor) -> Iterator[Step]:
        """Train those that no earlier part of the run has trained; yield each step once its weights are safe."""
        known = {step.number: step for step in self.store.steps(self.run, phase=PHASE)}
        running: dict[Future[Outcome], int] = {}
        for number, architecture in enumerate(architectures):
            path = self.weights(architecture)
            if number in known and (path.exists() or isinstance(known[number].outcome, Failed)):
                yield known[number]
            else:
                path.parent.mkdir(exist_ok=True)
                running[executor.submit(train_and_save, self.settings, self.task, architecture, path)] = number
        for future in as_completed(running):
            number = running[future]
            try:
                outcome = future.result()
            except BrokenExecutor:
                outcome = Failed(FailureKind.WORKER_LOST, "Its worker process died in the final training.")
            yield self._keep(number, architectures[number], outcome)

    def weights(self, architecture: Architecture) -> Path:
        """Return where the weights of `architecture` are kept."""
        return self.workspace.trained(self._id(architecture))

    def _id(self, architecture: Architecture) -> str:
        return architecture_id(architecture, self.settings.profile.network.leaves)

    def _keep(self, number: int, architecture: Architecture, outcome: Outcome) -> Step:
        settings = self.settings
        fidelity = Fidelity(settings.epochs, self.task.input_shape[0])
        request = EvaluationRequest(architecture, self.task, fidelity, settings.seed)
        key = EvaluationKey(
            architecture_id=self._id(architecture),
            data=self.task.fingerprint,
            epochs=fidelity.epochs,
            resolution=fidelity.resolution,
            samples=0,
            estimator=settings.estimator,
            seed=settings.seed,
        )
        return self.store.record_step(self.run, number, request, key, outcome, from_store=False, phase=PHASE)


def train_and_save(settings: FinalSettings, task: ImageTask, architecture: Architecture, path: Path) -> Outcome:
    """Train `architecture` in this process and write its weights to `path`; return its validation accuracy."""
    from nasgym.evaluation.checkpoints import save_checkpoint
    from nasgym.evaluation.final import FinalTraining, train_final
    from nasgym.evaluation.fitting import TrainingFailedError
    from nasgym.evaluation.training import is_out_of_memory

    how = FinalTraining(epochs=settings.epochs, time_limit=settings.time_limit, device=settings.device)
    try:
        trained = train_final(task, architecture, settings.profile, settings.seed, how=how)
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
