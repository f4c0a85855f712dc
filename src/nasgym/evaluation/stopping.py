"""Giving up a training whose own curve stays below a floor even at its best: a fidelity of its own. No torch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nasgym.core.errors import ConfigurationError

_LEAST_ERROR = 1e-6
"""Errors below this are taken as this, so that their logarithm exists."""


@dataclass(frozen=True, slots=True)
class Stopping:
    """Gives up a training that will not reach `floor`, as far as its own validation curve tells.

    The validation error of a network falls about as a power of the epochs behind (Domhan et al., IJCAI 2015; Viering
    & Loog, arXiv 2103.10948). The rule fits that power to the curve so far, adds `slack` to it, and draws the curve
    on from its lowest error to the last epoch: the *best case*. It sees nothing but the curve, the number of epochs and
    its own constants, all of which the key of an evaluation holds.

    Attributes:
        floor: validation accuracy in (0, 1) that a network has to promise.
        after: epochs behind before which nothing is given up, at least 2.
        slack: added to the fitted power, at least 0: the higher, the fewer networks are given up.

    Raises:
        ConfigurationError: a number out of its range.
    """

    floor: float
    after: int = 3
    slack: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.floor < 1:
            raise ConfigurationError(
                f"The accuracy below which a training is given up lies between 0 and 1, got {self.floor:g}."
            )
        if self.after < 2:
            raise ConfigurationError(f"A curve needs two epochs to be drawn on, got after={self.after}.")
        if not 0 <= self.slack < math.inf:
            raise ConfigurationError(f"The slack of a stopping rule is at least 0, got {self.slack:g}.")

    @property
    def fingerprint(self) -> str:
        """Short text that changes with every constant of the rule."""
        return f"stop-below={self.floor!r},{self.after},{self.slack!r}"

    def best_case(self, accuracies: Sequence[float], n_epochs: int) -> float:
        """Return the accuracy after `n_epochs` if all goes well from here on.

        Args:
            accuracies: on the validation images in [0, 1], one after each epoch so far, at least two.
            n_epochs: planned in all.
        """
        errors = np.maximum(1 - np.asarray(accuracies, dtype=np.float64), _LEAST_ERROR)
        behind = np.log(np.arange(1, len(errors) + 1))
        power = -np.polyfit(behind, np.log(errors), 1)[0]
        left = len(errors) / n_epochs
        return float(1 - errors.min() * left ** (max(0.0, power) + self.slack))

    def hopeless(self, accuracies: Sequence[float], n_epochs: int) -> bool:
        """Return whether to give up a training of `n_epochs` after the epochs that `accuracies` tell of."""
        return self.after <= len(accuracies) < n_epochs and self.best_case(accuracies, n_epochs) < self.floor
