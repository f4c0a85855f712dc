"""How well a network does."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Score:
    """How a network does on a part of a data set.

    Attributes:
        loss: mean cross-entropy, without label smoothing.
        accuracy: in [0, 1].
    """

    loss: float
    accuracy: float
