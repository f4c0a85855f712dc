"""The estimator `random-features`: how far a linear classifier gets on a network that was never trained."""

import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import RidgeClassifier
from torch import nn

from nasgym.architectures import canonical
from nasgym.core.errors import ConfigurationError, PlanError
from nasgym.core.randomness import torch_seed
from nasgym.data import Part
from nasgym.evaluation import Completed, EvaluationRequest, Failed, FailureKind, Metrics, Outcome
from nasgym.evaluation.feasibility import excess
from nasgym.evaluation.images import Images, Scaling, resident, subset
from nasgym.evaluation.recipes import Profile
from nasgym.networks.build import build
from nasgym.networks.plan import Plan, plan
from nasgym.networks.profiles import NetworkProfile
from nasgym.tasks import ImageTask

VERSION = 1
"""Part of the fingerprint: raised whenever the code answers the same request differently."""
BATCH = 256
CPU = torch.device("cpu")


@dataclass(frozen=True)
class RandomFeatures:
    """Builds a network, leaves its weights random, and fits a ridge classifier to what reaches its last layer.

    Seconds instead of minutes; epochs make no difference, resolution and samples of the fidelity do.

    Attributes:
        training: profile whose networks are built, and whose scaling of the pixels they see.
        alpha: strength of the ridge.
    """

    training: Profile
    alpha: float = 1.0

    @property
    def fingerprint(self) -> str:
        """Everything that decides an answer beside the request."""
        return f"random-features:{VERSION}:{self.training.fingerprint}:alpha={self.alpha:g}"

    @property
    def profile(self) -> NetworkProfile:
        """How architectures become networks here."""
        return self.training.network

    def evaluate(self, request: EvaluationRequest) -> Outcome:
        """Return the validation accuracy of the classifier.

        Raises:
            ConfigurationError: the task has no images.
        """
        started = time.monotonic()
        task, side = request.task, request.fidelity.resolution
        if not isinstance(task, ImageTask):
            raise ConfigurationError(f"Task {task.name!r} has no images to take features of; use make_task(...).")
        architecture = canonical(request.architecture, self.profile.leaves)
        try:
            planned = plan(architecture, (side, side, task.input_shape[2]), task.n_classes, self.profile)
        except PlanError as error:
            return Failed(FailureKind.INVALID, str(error))
        problem = excess(planned, task.budget)
        if problem is not None:
            return problem
        accuracy = self._accuracy(planned, task, request)
        seconds = time.monotonic() - started
        metrics = Metrics(seconds=seconds, parameters=planned.parameters, flops=planned.flops, density=planned.density)
        if accuracy is None:
            return Failed(FailureKind.DIVERGED, "The features of the network are not finite.", metrics)
        return Completed(accuracy, metrics)

    def _accuracy(self, planned: Plan, task: ImageTask, request: EvaluationRequest) -> float | None:
        """Return the validation accuracy; `None` where features are infinite or NaN."""
        side = request.fidelity.resolution
        pixels, labels = task.images(Part.TRAIN), task.labels(Part.TRAIN)
        chosen = subset(labels, request.fidelity.samples)
        train = resident(pixels[chosen], labels[chosen], side, CPU)
        validation = resident(task.images(Part.VALIDATION), task.labels(Part.VALIDATION), side, CPU)
        scaling = Scaling.of(train.pixels, self.training.search.inputs)
        network = build(planned, torch.Generator().manual_seed(torch_seed(request.seed, "random-features")))
        network.head.register_module("classifier", nn.Identity())
        network.eval()
        _measure_norms(network, train, scaling)
        known, unknown = (_features(network, images, scaling) for images in (train, validation))
        if not (np.isfinite(known).all() and np.isfinite(unknown).all()):
            return None
        classifier = RidgeClassifier(alpha=self.alpha, solver="cholesky").fit(known, train.labels.numpy())
        return float(classifier.score(unknown, validation.labels.numpy()))


def _measure_norms(network: nn.Module, images: Images, scaling: Scaling) -> None:
    """Let each BatchNorm average what it sees of the training images."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
        norm.train()
    _features(network, images, scaling)
    network.eval()


def _features(network: nn.Module, images: Images, scaling: Scaling) -> NDArray[np.float32]:
    """Return what reaches the classifier, shape (images, features)."""
    scaler = scaling.on(CPU)
    with torch.inference_mode():
        batches = [network(scaler.apply(pixels)) for pixels in torch.split(images.pixels, BATCH)]
    features: NDArray[np.float32] = torch.cat(batches).numpy()
    return features
