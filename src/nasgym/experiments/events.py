"""What a search tells whoever watches it."""

from collections.abc import Callable
from dataclasses import dataclass

from nasgym.evaluation import Outcome
from nasgym.tasks import ImageTask


@dataclass(frozen=True, slots=True)
class Prepared:
    """The images are read and split.

    Attributes:
        task: what is searched for.
        workers: processes that will train; 0 for the calling one.
        known: candidates that an earlier part of this run proposed already.
        seconds: spent so far, earlier parts included.
    """

    task: ImageTask
    workers: int
    known: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One candidate has its outcome.

    Attributes:
        number: order of proposal, from 1.
        evaluations: candidates that have their outcome by now.
        architecture: its text.
        outcome: what came out.
        from_store: whether it was known before.
    """

    number: int
    evaluations: int
    architecture: str
    outcome: Outcome
    from_store: bool


@dataclass(frozen=True, slots=True)
class Promoted:
    """The search is over and the final training begins.

    Attributes:
        networks: how many networks are trained.
        epochs: for how long each.
        reason: why the search ended.
    """

    networks: int
    epochs: int
    reason: str


@dataclass(frozen=True, slots=True)
class Trained:
    """One final training has ended.

    Attributes:
        architecture: its text.
        outcome: what came out.
        phase: `final`, or `random` for the network to compare with.
    """

    architecture: str
    outcome: Outcome
    phase: str


Event = Prepared | Evaluated | Promoted | Trained
Listener = Callable[[Event], None]
