"""What a meta-training or meta-test tells whoever watches it."""

from collections.abc import Callable
from dataclasses import dataclass

from nasgym.store import TrainingUpdate


@dataclass(frozen=True, slots=True)
class Started:
    """Everything is in place.

    Attributes:
        agent: its name.
        train: names of the training tasks.
        held_out: names of the validation tasks, or of the tasks of a test.
        environments: how many are played side by side.
        steps: already done by earlier parts of the run.
        total_steps: asked for.
    """

    agent: str
    train: tuple[str, ...]
    held_out: tuple[str, ...]
    environments: int
    steps: int
    total_steps: int


@dataclass(frozen=True, slots=True)
class Updated:
    """The weights have changed.

    Attributes:
        update: what happened.
    """

    update: TrainingUpdate


@dataclass(frozen=True, slots=True)
class Judged:
    """The policy was tried on the validation tasks.

    Attributes:
        steps: done so far.
        mean_return: of meta-episodes, undiscounted, mean over tasks.
        best: the highest so far, this one included.
    """

    steps: int
    mean_return: float
    best: float


Event = Started | Updated | Judged
Listener = Callable[[Event], None]
