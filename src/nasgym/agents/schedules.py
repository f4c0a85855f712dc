"""Settings that change while an agent is trained: constant, linear, cosine."""

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Constant:
    """Stays as it is.

    Attributes:
        value: at all times.
    """

    value: float
    kind: Literal["constant"] = "constant"

    def at(self, progress: float) -> float:
        """Return the value when `progress`, from 0 to 1, of the training is behind."""
        del progress
        return self.value


@dataclass(frozen=True)
class Linear:
    """Goes from one value to another at constant pace.

    Attributes:
        start: value at the beginning.
        end: value at the end, and beyond.
    """

    start: float
    end: float = 0.0
    kind: Literal["linear"] = "linear"

    def at(self, progress: float) -> float:
        """Return the value when `progress`, from 0 to 1, of the training is behind."""
        return self.start + (self.end - self.start) * _within(progress)


@dataclass(frozen=True)
class Cosine:
    """Goes from one value to another along half a cosine: slowly, fast, slowly (1608.03983, without restarts).

    Attributes:
        start: value at the beginning.
        end: value at the end, and beyond.
    """

    start: float
    end: float = 0.0
    kind: Literal["cosine"] = "cosine"

    def at(self, progress: float) -> float:
        """Return the value when `progress`, from 0 to 1, of the training is behind."""
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * _within(progress))) / 2


Schedule = Constant | Linear | Cosine


def _within(progress: float) -> float:
    return min(1.0, max(0.0, progress))
