"""What a store holds, as frozen values."""

import hashlib
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, StrEnum
from functools import cached_property
from typing import Any

from nasgym.architectures import Architecture, LeafMerge, canonical, encode, format_architecture, parse_architecture
from nasgym.architectures.nsc import COLUMNS
from nasgym.core.errors import StoreError
from nasgym.core.provenance import Provenance
from nasgym.evaluation import Completed, EvaluationKey, EvaluationRequest, Failed, FailureKind, Outcome

SEARCH_PHASE = "search"
"""Phase of the steps in which a run searches; others, such as a promotion, have names of their own."""

RECORD_FIELDS = (
    *("id", "task", "architecture", "architecture_id"),
    *("data", "epochs", "resolution", "samples", "estimator", "seed"),
    *("accuracy", "failure", "message"),
    *("train_losses", "validation_losses", "validation_accuracies"),
    *("seconds", "parameters", "flops", "density", "peak_memory"),
    *("run", "created_at"),
)
"""The fields of `StoredEvaluation.record`, in order: the columns of an exported CSV."""


def evaluation_id(key: EvaluationKey) -> str:
    """Return the name of the evaluation of `key`: 32 hexadecimal digits, the same in every store."""
    parts = (key.architecture_id, key.data, key.epochs, key.resolution, key.samples, key.estimator, key.seed)
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:32]


def is_kept(outcome: Outcome) -> bool:
    """Return whether `outcome` answers its key for everybody: the key does not hold the user's budget."""
    return not (isinstance(outcome, Failed) and outcome.kind is FailureKind.OVER_BUDGET)


def conflict(first: Outcome, second: Outcome) -> bool:
    """Return whether two outcomes of one key contradict each other; times and messages may differ."""
    match first, second:
        case Completed(), Completed():
            return first.accuracy != second.accuracy
        case Failed(), Failed():
            return first.kind is not second.kind
        case _:
            return True


def canonical_text(architecture: Architecture, architecture_id: str) -> str:
    """Return the text of the canonical form that `architecture_id` names; as given where the id is of another kind."""
    for leaves in LeafMerge:
        text = format_architecture(canonical(architecture, leaves))
        if hashlib.sha256(text.encode()).hexdigest()[:16] == architecture_id:
            return text
    return format_architecture(architecture)


@dataclass(frozen=True)
class StoredEvaluation:
    """One evaluation as kept.

    Attributes:
        key: what the outcome is the answer to.
        architecture: text of the canonical architecture.
        task: name of the task.
        outcome: what came out.
        run: id of the run that evaluated it; `None` where no run asked.
        created_at: when it was kept, UTC.

    Raises:
        StoreError: an accuracy that is not a number in [0, 1].
    """

    key: EvaluationKey
    architecture: str
    task: str
    outcome: Outcome
    run: str | None = None
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        if self.accuracy is not None and not (math.isfinite(self.accuracy) and 0 <= self.accuracy <= 1):
            raise StoreError(
                f"Estimator {self.key.estimator!r} gave accuracy {self.accuracy} to {self.architecture!r}; "
                "an accuracy lies in [0, 1]: correct the estimator, or return Failed."
            )

    @classmethod
    def of(
        cls, request: EvaluationRequest, key: EvaluationKey, outcome: Outcome, run: str | None = None
    ) -> "StoredEvaluation":
        """Return what is kept of the answer to `request`."""
        return cls(key, canonical_text(request.architecture, key.architecture_id), request.task.name, outcome, run)

    @cached_property
    def id(self) -> str:
        """Name of the evaluation, the same in every store."""
        return evaluation_id(self.key)

    @property
    def accuracy(self) -> float | None:
        """Validation accuracy in [0, 1]; `None` for a failure."""
        return self.outcome.accuracy if isinstance(self.outcome, Completed) else None

    @property
    def nsc(self) -> list[list[int]]:
        """Rows `(index, type, kernel, pred1, pred2)` of the architecture."""
        rows: list[list[int]] = encode(parse_architecture(self.architecture)).reshape(-1, len(COLUMNS)).tolist()
        return rows

    def record(self) -> dict[str, Any]:
        """Return all of it as one flat dictionary of JSON values; accuracy is `None` for a failure."""
        key, outcome, metrics = self.key, self.outcome, self.outcome.metrics
        failed = outcome if isinstance(outcome, Failed) else None
        return {
            "id": self.id,
            "task": self.task,
            "architecture": self.architecture,
            "architecture_id": key.architecture_id,
            "data": key.data,
            "epochs": key.epochs,
            "resolution": key.resolution,
            "samples": key.samples,
            "estimator": key.estimator,
            "seed": key.seed,
            "accuracy": self.accuracy,
            "failure": failed.kind.value if failed else None,
            "message": failed.message if failed else None,
            "train_losses": list(metrics.train_losses),
            "validation_losses": list(metrics.validation_losses),
            "validation_accuracies": list(metrics.validation_accuracies),
            "seconds": metrics.seconds,
            "parameters": metrics.parameters,
            "flops": metrics.flops,
            "density": metrics.density,
            "peak_memory": metrics.peak_memory,
            "run": self.run,
            "created_at": self.created_at.isoformat(),
        }


class Order(Enum):
    """In which order evaluations are read."""

    OLDEST = "oldest"
    NEWEST = "newest"
    BEST = "best"
    """Highest accuracy first, equals in the order they were kept; failures last."""


@dataclass(frozen=True, slots=True)
class EvaluationQuery:
    """Which evaluations to read; `None` means any.

    Attributes:
        task: name of the task.
        data: fingerprint of the data.
        estimator: fingerprint of the estimator.
        run: id of the run that evaluated them.
        failed: only failures (`True`) or none of them (`False`).
        order: order of reading.
        limit: at most so many.
    """

    task: str | None = None
    data: str | None = None
    estimator: str | None = None
    run: str | None = None
    failed: bool | None = None
    order: Order = Order.OLDEST
    limit: int | None = None


class RunStatus(StrEnum):
    """How a run stands."""

    RUNNING = "running"
    """Started and not finished: at work, or killed."""
    INTERRUPTED = "interrupted"
    """Stopped on request, to be resumed."""
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True)
class Run:
    """One run of a command.

    Attributes:
        id: its name, unique everywhere; sorts by start.
        command: what was run, such as `search`.
        configuration: every setting, as JSON values.
        seed: of the run.
        provenance: versions, hardware and git commit.
        status: how it stands.
        started_at: UTC.
        finished_at: UTC; `None` while running.
        result: what came out, as JSON values; `None` until finished.
    """

    id: str
    command: str
    configuration: dict[str, Any]
    seed: int
    provenance: Provenance
    status: RunStatus
    started_at: datetime
    finished_at: datetime | None = None
    result: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One network that a run asked for, in the order in which it asked.

    Attributes:
        run: id of the run.
        number: position in its phase.
        architecture: text of the architecture as proposed.
        outcome: what the run was told.
        from_store: whether it was known before, so that nothing was trained for it.
        evaluation: the evaluation behind it; `None` for an outcome that only concerns this run (over its budget).
        phase: part of the run, `search` unless named otherwise.
    """

    run: str
    number: int
    architecture: str
    outcome: Outcome
    from_store: bool
    evaluation: StoredEvaluation | None
    phase: str = SEARCH_PHASE


@dataclass(frozen=True, slots=True)
class Added:
    """What became of rows that were added.

    Attributes:
        new: kept.
        duplicate: known with the same outcome.
        conflicting: known with another outcome; the first one stays.
    """

    new: int = 0
    duplicate: int = 0
    conflicting: int = 0

    def __add__(self, other: "Added") -> "Added":
        return Added(self.new + other.new, self.duplicate + other.duplicate, self.conflicting + other.conflicting)
