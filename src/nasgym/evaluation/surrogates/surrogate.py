"""The estimator that predicts: a model fitted to a table, with the noise of a training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures import Architecture, Skeleton, architecture_id, canonical
from nasgym.architectures.actions import AddLayer
from nasgym.core.errors import ConfigurationError, PlanError, TableError
from nasgym.core.randomness import stream
from nasgym.evaluation.outcome import Completed, Failed, FailureKind, Metrics, Outcome
from nasgym.evaluation.request import EvaluationRequest
from nasgym.evaluation.surrogates.features import Features
from nasgym.evaluation.surrogates.forest import Forest
from nasgym.evaluation.tables import TableDescription
from nasgym.evaluation.tables.benchmark import unplanned_excess
from nasgym.evaluation.tables.container import Format, read_container
from nasgym.evaluation.tables.layout import Layout, header_values
from nasgym.networks.plan import plan
from nasgym.networks.profiles import NetworkProfile, profile
from nasgym.tasks import Task

SURROGATE = Format(name="nasgym-surrogate", version=1, noun="surrogate")


@dataclass(frozen=True, slots=True)
class Fit:
    """How well a model tells the networks of one task, found by cross-validation.

    Attributes:
        spearman: rank correlation ρ of predicted and true accuracy, over networks that were left out; 0 where all are
            equally accurate.
        kendall: rank correlation τ, likewise.
        error: standard deviation of prediction minus truth, likewise.
        noise: standard deviation from seed to seed: from the repeats of the table, or, where there are none, `error`,
            which holds the model's own error, too.
        from_repeats: whether `noise` is from repeats.
    """

    spearman: float
    kendall: float
    error: float
    noise: float
    from_repeats: bool


class Surrogate:
    """Predicts the accuracy of any network of a search space from those of a table, and adds noise that a seed decides.

    Accuracy = prediction + noise_scale · noise · z, clipped to [0, 1], with z standard normal, the same for the same
    network, task and evaluation seed. What the model cannot tell is `Failed(missing)`: another task or fidelity,
    layers that do not occur in the table, more layers than there. Pickles as its path.

    Args:
        path: file that `fit_surrogate` wrote.
        noise_scale: 0 for no noise.

    Attributes:
        description: of the table that it was fitted to.
        fits: how good it is on each task.

    Raises:
        TableError: no such file, not a surrogate, damaged, written by a newer nasgym, or of another network profile.
        ConfigurationError: its network profile is unknown, or `noise_scale` is negative.
    """

    def __init__(self, path: str | Path, *, noise_scale: float = 1.0) -> None:
        if not 0 <= noise_scale < np.inf:
            raise ConfigurationError(f"noise_scale must be 0 or more, got {noise_scale}.")
        self.path = Path(path)
        self.noise_scale = noise_scale
        contents = read_container(self.path, SURROGATE)
        self._digest = contents.digest
        self.description = TableDescription.from_json(contents.description["table"])
        self.layout = Layout.from_json(contents.description["layout"], self.description.skeleton)
        self._profile = profile(self.description.profile)
        changed = contents.description["profile_fingerprint"] != self._profile.fingerprint
        if changed and self.description.skeleton is Skeleton.LAYERED:  # a profile decides nothing of other networks
            raise TableError(
                f"{self.path}: the surrogate was fitted to networks of another profile {self._profile.name!r} than "
                "this nasgym has; fit it again."
            )
        self._depth: int = contents.description["layers"]
        self.fits = tuple(Fit(**fit) for fit in contents.description["fits"])
        self._features = Features(self.layout)
        self._forests = [
            Forest.from_arrays(contents.arrays, str(number), **shape)
            for number, shape in enumerate(contents.description["forests"])
        ]
        self._words = set(self.layout.words)
        self._tasks = {task.fingerprint: number for number, task in enumerate(self.description.tasks)}

    def __reduce__(self) -> tuple[Any, ...]:
        return (_reopen, (self.path, self.noise_scale))

    @property
    def fingerprint(self) -> str:
        """Contents of the file, and the scale of the noise."""
        return f"surrogate:{self._digest[:16]}:noise={self.noise_scale:g}"

    @property
    def profile(self) -> NetworkProfile:
        """The network profile of the table."""
        return self._profile

    def evaluate(self, request: EvaluationRequest) -> Outcome:
        """Return the predicted accuracy, with noise; nothing is trained.

        Raises:
            ConfigurationError: the task has a budget, and the costs of these networks are not known.
        """
        number = self._tasks.get(request.task.fingerprint)
        if number is None:
            return self._missing(f"task {request.task.name!r} ({request.task.fingerprint})")
        known = self.description.tasks[number].fidelity
        if request.fidelity != known:
            return self._missing(f"{request.fidelity} of {request.task.name!r}, only {known}")
        architecture = canonical(request.architecture, self._profile.leaves)
        if not self._knows(architecture):
            return self._missing(f"layers such as those of '{architecture}'")
        try:
            metrics = self._metrics(architecture, request.task)
        except PlanError as error:
            return Failed(FailureKind.INVALID, str(error))
        mean = float(self.means(number, self._arrays(architecture))[0])
        names = (self._digest, request.task.fingerprint, architecture_id(architecture, self._profile.leaves))
        noise = self.noise_scale * self.fits[number].noise
        drawn = noise * float(stream(request.seed, "surrogate", *names).standard_normal()) if noise else 0.0
        return Completed(min(1.0, max(0.0, mean + drawn)), metrics)

    def means(self, task: int, arrays: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Return the predictions without noise, not clipped, of many networks on task number `task`, shape `(n,)`.

        Args:
            task: its number.
            arrays: the networks, as `Layout.encode` lays them out.
        """
        return self._forests[task].predict(self._features.of(arrays))

    def _knows(self, architecture: Architecture) -> bool:
        layout = self.layout
        if architecture.skeleton is not layout.skeleton or len(architecture) > self._depth:
            return False
        if layout.follows and architecture.skeleton is Skeleton.LAYERED and not architecture.is_chain:
            return False
        words = {AddLayer(layer.operation, layer.kernel, residual=layer.residual) for layer in architecture.layers}
        if not words <= self._words or (architecture.header is None) != (not layout.headers):
            return False
        values = () if architecture.header is None else header_values(architecture.header)
        return all(value in known for value, known in zip(values, layout.headers, strict=True))

    def _arrays(self, architecture: Architecture) -> dict[str, NDArray[Any]]:
        """Return the network laid out as one row with room for as many layers as the table has."""
        arrays = self.layout.encode([architecture])
        for name in ("words", "inputs"):
            if name in arrays:
                missing = self._depth - arrays[name].shape[1]
                arrays[name] = np.pad(arrays[name], [(0, 0), (0, missing)] + [(0, 0)] * (arrays[name].ndim - 2))
        return arrays

    def _metrics(self, architecture: Architecture, task: Task) -> Metrics:
        if not architecture.skeleton.is_built:
            unplanned_excess(Metrics(), task.budget)
            return Metrics()
        planned = plan(architecture, task.input_shape, task.n_classes, self._profile)
        return Metrics(parameters=planned.parameters, flops=planned.flops, density=planned.density)

    def _missing(self, what: str) -> Failed:
        return Failed(FailureKind.MISSING, f"The surrogate of table {self.description.name!r} cannot tell of {what}.")


def _reopen(path: Path, noise_scale: float) -> Surrogate:
    return Surrogate(path, noise_scale=noise_scale)
