"""What an experiment tells whoever watches it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StageBegun:
    """A stage begins, or goes on.

    Attributes:
        name: of the stage.
        number: among all stages, from 1.
        stages: how many there are.
        says: what is done in it, in words.
        total: steps, or trainings, that it takes.
        unit: what is counted, such as `steps`.
    """

    name: str
    number: int
    stages: int
    says: str
    total: int
    unit: str


@dataclass(frozen=True, slots=True)
class StageWent:
    """A stage has come further.

    Attributes:
        behind: steps, or trainings, so far.
        trained: networks trained in this part of it, that no store knew.
    """

    behind: int
    trained: int


@dataclass(frozen=True, slots=True)
class StageEnded:
    """A stage is finished.

    Attributes:
        name: of the stage.
        known: whether it was finished before.
        seconds: that it took, all its parts together.
    """

    name: str
    known: bool
    seconds: float


Event = StageBegun | StageWent | StageEnded
Listener = Callable[[Event], None]
