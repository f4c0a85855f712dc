"""The training estimator: an outcome by training the network."""

import math
import time
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from nasgym.architectures import Architecture, canonical
from nasgym.core.errors import ConfigurationError, PlanError
from nasgym.core.randomness import torch_seed
from nasgym.data import Part
from nasgym.evaluation.feasibility import Feasibility
from nasgym.evaluation.fitting import Course, Epoch, TrainingFailedError, fit
from nasgym.evaluation.hardware import PeakMemory, isolated, torch_device
from nasgym.evaluation.images import Images, Scaling, resident, subset
from nasgym.evaluation.learners import native_code
from nasgym.evaluation.outcome import Completed, Failed, FailureKind, Metrics, Outcome
from nasgym.evaluation.recipes import Profile, Recipe
from nasgym.evaluation.request import EvaluationRequest
from nasgym.evaluation.stopping import Stopping
from nasgym.networks.build import build
from nasgym.networks.plan import Plan, plan
from nasgym.networks.profiles import NetworkProfile
from nasgym.tasks import Fidelity, ImageTask


@dataclass(frozen=True)
class TrainingImages:
    """What a training sees of a task: no test image.

    Attributes:
        train: training images.
        validation: validation images.
        scaling: of the pixels, from the training images.
    """

    train: Images
    validation: Images
    scaling: Scaling

    @classmethod
    def of(cls, task: ImageTask, fidelity: Fidelity, recipe: Recipe, device: torch.device) -> "TrainingImages":
        """Return the images of `task` at `fidelity`, on `device`.

        Raises:
            ConfigurationError: the fidelity has fewer samples than classes.
        """
        side = fidelity.resolution
        images, labels = task.images(Part.TRAIN), task.labels(Part.TRAIN)
        chosen = subset(labels, fidelity.samples)
        train = resident(images[chosen], labels[chosen], side, device)
        validation = resident(task.images(Part.VALIDATION), task.labels(Part.VALIDATION), side, device)
        return cls(train, validation, Scaling.of(train.pixels, recipe.inputs))


class TrainingEstimator:
    """Trains a network on a task's training images and answers with its validation accuracy.

    Deterministic in the request on one machine with one number of threads, whatever ran before in the process.
    Device and threads are no part of the fingerprint: where they differ, outcomes differ by rounding only. A time
    limit is, since it decides between an accuracy and a failure; and so is a rule for stopping: a training that it
    gives up is `Completed` with the accuracy so far, and its metrics have fewer epochs than its fidelity.

    Args:
        profile: how architectures become trained networks.
        device: `auto`, `cpu`, `cuda` or `cuda:N`; `auto` is found anew in every process.
        threads: of torch's operators on a CPU; `None` leaves them as they are.
        time_limit: seconds after which a network is `Failed(timed_out)`; `None` for no limit.
        stopping: gives up hopeless trainings; `None` trains every network to the end.

    Raises:
        ConfigurationError: there is no such device, or a number is not above 0.
    """

    def __init__(
        self,
        profile: Profile,
        *,
        device: str = "auto",
        threads: int | None = None,
        time_limit: float | None = None,
        stopping: Stopping | None = None,
    ) -> None:
        if threads is not None and threads < 1:
            raise ConfigurationError(f"threads must be at least 1, got {threads}.")
        if time_limit is not None and time_limit <= 0:
            raise ConfigurationError(f"time_limit must be above 0 seconds, got {time_limit:g}.")
        self._profile = profile
        torch_device(device)
        self._device = device
        self._threads = threads
        self._time_limit = time_limit
        self._stopping = stopping

    @property
    def fingerprint(self) -> str:
        """Profile, version of the training code, and time limit and rule for stopping where there are any."""
        limit = "" if self._time_limit is None else f":limit={self._time_limit:g}"
        stopping = "" if self._stopping is None else f":{self._stopping.fingerprint}"
        return f"training:{self._profile.name}:{self._profile.fingerprint}{limit}{stopping}"

    @property
    def profile(self) -> NetworkProfile:
        """How architectures become networks here."""
        return self._profile.network

    def evaluate(self, request: EvaluationRequest) -> Outcome:
        """Train the canonical form of one network for the epochs of its fidelity.

        Budget and safety cap are checked first, at the task's own resolution. A fidelity of another resolution
        trains, and validates, on resized images.

        Raises:
            ConfigurationError: the task has no images, or the fidelity cannot hold all classes.
        """
        native_code(self._profile.search, torch_device(self._device))  # before the clock starts: it may be compiled
        started = time.monotonic()
        task = request.task
        if not isinstance(task, ImageTask):
            raise ConfigurationError(f"Task {task.name!r} has no images to train on; use a table, or make_task(...).")
        if request.fidelity.epochs < 1:
            raise ConfigurationError(f"A training takes at least one epoch; the fidelity is {request.fidelity}.")
        architecture = canonical(request.architecture, self.profile.leaves)
        problem = Feasibility(task, self.profile, cache_size=1).problem(architecture)
        if problem is not None:
            return problem
        side = request.fidelity.resolution
        try:
            planned = plan(architecture, (side, side, task.input_shape[2]), task.n_classes, self.profile)
        except PlanError as error:
            return Failed(FailureKind.INVALID, str(error))
        return self._train(request, task, planned, started)

    def _train(self, request: EvaluationRequest, task: ImageTask, planned: Plan, started: float) -> Outcome:
        recipe, seed = self._profile.search, request.seed
        deadline = math.inf if self._time_limit is None else started + self._time_limit
        epochs: list[Epoch] = []

        def metrics() -> Metrics:
            return Metrics(
                train_losses=tuple(epoch.train_loss for epoch in epochs),
                validation_losses=tuple(epoch.validation.loss for epoch in epochs),
                validation_accuracies=tuple(epoch.validation.accuracy for epoch in epochs),
                seconds=time.monotonic() - started,
                parameters=planned.parameters,
                flops=planned.flops,
                density=planned.density,
                peak_memory=memory.read(),
            )

        device = torch_device(self._device)
        memory = PeakMemory(device)
        with isolated(device, self._threads, torch_seed(seed, "dropout")):
            try:
                images = TrainingImages.of(task, request.fidelity, recipe, device)
                network = initial_network(planned, seed, device)
                course = course_of(planned.architecture, recipe, images.scaling, seed)
                for epoch in fit(
                    network,
                    images.train,
                    images.validation,
                    course,
                    planned=lambda _: request.fidelity.epochs,
                    deadline=deadline,
                    settles=False,
                ):
                    epochs.append(epoch)  # what was learnt before a failure must stay
                    if self._is_hopeless(epochs, request.fidelity.epochs):
                        break
            except TrainingFailedError as error:
                return Failed(error.kind, str(error), metrics())
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                return Failed(
                    FailureKind.OUT_OF_MEMORY,
                    f"No memory left for {planned.parameters:,} parameters: {error}",
                    metrics(),
                )
        return Completed(epochs[-1].validation.accuracy, metrics())

    def _is_hopeless(self, behind: list[Epoch], n_epochs: int) -> bool:
        accuracies = [epoch.validation.accuracy for epoch in behind]
        return self._stopping is not None and self._stopping.hopeless(accuracies, n_epochs)


def initial_network(planned: Plan, seed: int, device: torch.device) -> nn.Module:
    """Return the network of `planned` on `device`, channels last, its weights drawn from `seed`."""
    network = build(planned, torch.Generator().manual_seed(torch_seed(seed, "weights")))
    return convert_conv2d_weight_memory_format(network.to(device), torch.channels_last)


def course_of(architecture: Architecture, recipe: Recipe, scaling: Scaling, seed: int) -> Course:
    """Return the training that `recipe` prescribes for `architecture`; its header may choose the augmentation."""
    return Course(
        recipe=recipe,
        batch_size=recipe.branch_batch_size if architecture.is_multi_branch else recipe.batch_size,
        augmentation=architecture.header.augmentation if architecture.header else recipe.augmentation,
        scaling=scaling,
        seed=seed,
    )


def is_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    """Return whether `error` is torch or Python running out of memory; on a CPU torch raises a plain RuntimeError."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
