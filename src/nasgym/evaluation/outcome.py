"""What comes out of an evaluation: `Completed` or `Failed`. Failures are data; a bug raises."""

from dataclasses import dataclass, field
from enum import StrEnum


class FailureKind(StrEnum):
    """Why a network has no accuracy."""

    INVALID = "invalid"
    """It cannot exist on this input."""
    OVER_BUDGET = "over_budget"
    """It costs more than the user's budget allows; it was not trained."""
    OUT_OF_MEMORY = "out_of_memory"
    """It does not fit into memory, or exceeds the safety cap on parameters."""
    DIVERGED = "diverged"
    """Its loss became infinite or NaN."""
    TIMED_OUT = "timed_out"
    """It took longer than its time limit."""
    WORKER_LOST = "worker_lost"
    """The process that trained it died."""
    MISSING = "missing"
    """A table does not hold it."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """What was measured on the way; per-epoch tuples have one entry an epoch that was run.

    Attributes:
        train_losses: mean training cross-entropy of each epoch.
        validation_losses: validation cross-entropy after each epoch.
        validation_accuracies: validation accuracy in [0, 1] after each epoch.
        seconds: wall-clock time of the evaluation.
        parameters: trainable parameters.
        flops: per image, head included; a multiply-add counts as two.
        density: edges / nodes of the network (SPEC §4).
        peak_memory: highest memory used while training, bytes; 0 where it cannot be told.
    """

    train_losses: tuple[float, ...] = ()
    validation_losses: tuple[float, ...] = ()
    validation_accuracies: tuple[float, ...] = ()
    seconds: float = 0.0
    parameters: int = 0
    flops: int = 0
    density: float = 0.0
    peak_memory: int = 0


@dataclass(frozen=True, slots=True)
class Completed:
    """A network that was evaluated.

    Attributes:
        accuracy: validation accuracy in [0, 1] at the end of training.
        metrics: what else was measured.
    """

    accuracy: float
    metrics: Metrics = field(default_factory=Metrics)


@dataclass(frozen=True, slots=True)
class Failed:
    """A network that has no accuracy.

    Attributes:
        kind: why.
        message: one sentence for people.
        metrics: what was measured before it failed.
    """

    kind: FailureKind
    message: str
    metrics: Metrics = field(default_factory=Metrics)


Outcome = Completed | Failed


def in_words(outcome: Outcome) -> str:
    """Return what came out, for people.

    >>> in_words(Completed(0.5, Metrics(seconds=2.0)))
    'accuracy 0.5000 in 2.0 s'
    """
    if isinstance(outcome, Completed):
        return f"accuracy {outcome.accuracy:.4f} in {outcome.metrics.seconds:.1f} s"
    return f"{outcome.kind.value}: {outcome.message}"
