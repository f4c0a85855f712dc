"""Recipes: how a network is trained; and profiles: how an architecture becomes a trained network. Values; no torch."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType

from nasgym.architectures import Augmentation
from nasgym.core.errors import ConfigurationError, nearest
from nasgym.networks import profiles
from nasgym.networks.profiles import NetworkProfile

CODE_VERSION = 1
"""Part of every fingerprint: raised whenever the training code answers the same request differently."""


@dataclass(frozen=True, slots=True)
class Adam:
    """Adam; with a weight decay AdamW, which decays kernels and matrices but no bias or normalisation.

    Attributes:
        beta1: decay of the mean of the gradients.
        beta2: decay of the mean of their squares.
        epsilon: added to the root of the latter.
        weight_decay: decoupled, per unit of learning rate.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0


@dataclass(frozen=True, slots=True)
class Sgd:
    """Stochastic gradient descent with Nesterov momentum.

    Attributes:
        momentum: in [0, 1); 0 for none.
        weight_decay: L2, on kernels and matrices only.
    """

    momentum: float = 0.9
    weight_decay: float = 0.0


@dataclass(frozen=True, slots=True)
class StepDecay:
    """The learning rate times `factor` after every `epochs` epochs."""

    factor: float
    epochs: int


@dataclass(frozen=True, slots=True)
class ExponentialDecay:
    """The learning rate times `factor ** (step / steps)`, continuously."""

    factor: float
    steps: int


@dataclass(frozen=True, slots=True)
class OneCycle:
    """Linear warm-up over the first part of training, then half a cosine down to nearly nothing.

    Attributes:
        warm_up: fraction of all steps, in (0, 1).
    """

    warm_up: float


class Inputs(Enum):
    """What a network sees of the 8-bit pixels."""

    UNIT = "unit"
    """Scaled to [0, 1]."""
    STANDARDISED = "standardised"
    """Mean 0 and standard deviation 1 per channel over the training images."""


class Precision(Enum):
    """Arithmetic of training and validation; weights are always fp32."""

    FLOAT32 = "float32"
    BFLOAT16_WHERE_FAST = "bfloat16-where-fast"
    """Mixed with bf16 where the processor computes in it, fp32 elsewhere."""


class Weights(Enum):
    """Which epoch's weights a final training keeps."""

    LAST = "last"
    BEST = "best"
    """Highest validation accuracy; of equals, the latest."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained.

    Attributes:
        optimizer: with its constants.
        learning_rate: peak of the schedule.
        schedule: how the learning rate moves.
        epochs: unless a fidelity says otherwise.
        batch_size: images in a step; an epoch is cut into `ceil(images / batch_size)` nearly equal batches.
        branch_batch_size: the same for multi-branch networks.
        label_smoothing: probability spread over all classes.
        augmentation: of training images, unless the architecture's header chooses.
        inputs: scaling of the pixels.
        precision: of the arithmetic.
        weights: which are kept by a final training.
    """

    optimizer: Adam | Sgd
    learning_rate: float
    schedule: StepDecay | ExponentialDecay | OneCycle
    epochs: int
    batch_size: int
    branch_batch_size: int
    label_smoothing: float = 0.0
    augmentation: Augmentation = Augmentation.NONE
    inputs: Inputs = Inputs.STANDARDISED
    precision: Precision = Precision.BFLOAT16_WHERE_FAST
    weights: Weights = Weights.LAST

    def learning_rate_at(self, step: int, steps_per_epoch: int, n_steps: int) -> float:
        """Return the learning rate of `step` (0 is the first) in a training of `n_steps`."""
        match self.schedule:
            case StepDecay(factor, epochs):
                return self.learning_rate * math.pow(factor, step // (epochs * steps_per_epoch))
            case ExponentialDecay(factor, steps):
                return self.learning_rate * math.pow(factor, step / steps)
            case OneCycle(warm_up):
                rising = max(1, round(warm_up * n_steps))
                if step < rising:
                    return self.learning_rate * (step + 1) / rising
                return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, n_steps - rising)))


@dataclass(frozen=True, slots=True)
class Profile:
    """How an architecture becomes a trained network.

    Attributes:
        network: how it becomes a network.
        search: how that is trained to estimate its accuracy; the fidelity decides the epochs.
        final: how the best networks are trained in the end.
    """

    network: NetworkProfile
    search: Recipe
    final: Recipe

    @property
    def name(self) -> str:
        """What users call it."""
        return self.network.name

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change with everything that decides a search evaluation.

        The final recipe and the default number of epochs are no part of it.
        """
        return self._digest(self.search)

    @property
    def final_fingerprint(self) -> str:
        """The same for a final training."""
        return self._digest(self.final)

    def _digest(self, recipe: Recipe) -> str:
        text = f"{CODE_VERSION} {self.network.fingerprint} {replace(recipe, epochs=0)!r}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


PAPER_RECIPE = Recipe(
    optimizer=Adam(beta1=0.9, beta2=0.999, epsilon=1e-7),
    learning_rate=1e-3,
    schedule=StepDecay(factor=0.2, epochs=5),
    epochs=12,
    batch_size=128,
    branch_batch_size=64,
    inputs=Inputs.UNIT,
)
"""The short training of arXiv 1911.03769, §4.1.2, as stated there."""

PAPER_INTENSIVE_RECIPE = replace(PAPER_RECIPE, schedule=ExponentialDecay(factor=0.9, steps=100), epochs=100)
"""The "more intensive training" of §6.1, Experiment 2; the last epoch counts."""

DEFAULT_RECIPE = Recipe(
    optimizer=Adam(weight_decay=0.05),
    learning_rate=2e-2,
    schedule=OneCycle(warm_up=0.25),
    epochs=8,
    batch_size=32,
    branch_batch_size=32,
)
"""Settled by measurement: docs/profiles.md."""

DEFAULT_FINAL_RECIPE = replace(DEFAULT_RECIPE, epochs=30, label_smoothing=0.1, augmentation=Augmentation.SHIFT)
"""For the few networks that a search promotes: longer, regularised; settled by measurement: docs/profiles.md."""

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            Profile(profiles.DEFAULT, search=DEFAULT_RECIPE, final=DEFAULT_FINAL_RECIPE),
            Profile(profiles.PAPER, search=PAPER_RECIPE, final=PAPER_RECIPE),
            Profile(profiles.PAPER_INTENSIVE, search=PAPER_INTENSIVE_RECIPE, final=PAPER_INTENSIVE_RECIPE),
            Profile(profiles.VGG19_LIKE, search=PAPER_INTENSIVE_RECIPE, final=PAPER_INTENSIVE_RECIPE),
        )
    }
)
"""The training profiles by name; each name is also that of a network profile."""


def training_profile(name: str) -> Profile:
    """Return the training profile called `name`.

    Raises:
        ConfigurationError: there is none; names the nearest.

    >>> training_profile("paper").search.epochs
    12
    """
    if name not in PROFILES:
        known = ", ".join(PROFILES)
        raise ConfigurationError(f"Unknown training profile {name!r} (known: {known}).{nearest(name, PROFILES)}")
    return PROFILES[name]
