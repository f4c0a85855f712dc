"""Between frozen values and rows of the tables, both ways."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from nasgym.core.provenance import Provenance
from nasgym.evaluation import Completed, EvaluationKey, Failed, FailureKind, Metrics, Outcome
from nasgym.store.leases import QueuedRequest
from nasgym.store.rows import Run, RunStatus, Step, StoredEvaluation, evaluation_id

Columns = dict[str, Any]
Row = Mapping[Any, Any]
_PER_EPOCH = ("train_losses", "validation_losses", "validation_accuracies")
_SINGLE = ("seconds", "parameters", "flops", "density", "peak_memory")
_KEY = ("architecture_id", "data", "epochs", "resolution", "samples", "estimator", "seed")


def evaluation_columns(row: StoredEvaluation) -> Columns:
    """Return `row` as columns of `evaluations`, without its number."""
    metrics = row.outcome.metrics
    failed = row.outcome if isinstance(row.outcome, Failed) else None
    return (
        {"id": row.id, "task": row.task, "architecture": row.architecture, "accuracy": row.accuracy, "run": row.run}
        | {"failure": failed.kind.value if failed else None, "message": failed.message if failed else None}
        | {name: getattr(row.key, name) for name in _KEY}
        | {name: json.dumps(getattr(metrics, name)) for name in _PER_EPOCH}
        | {name: getattr(metrics, name) for name in _SINGLE}
        | {"created_at": time_text(row.created_at)}
    )


def evaluation_of(columns: Row) -> StoredEvaluation:
    """Return the evaluation that `columns` of `evaluations` hold."""
    return StoredEvaluation(
        key=EvaluationKey(**{name: columns[name] for name in _KEY}),
        architecture=columns["architecture"],
        task=columns["task"],
        outcome=outcome_of(columns),
        run=columns["run"],
        created_at=time_of(columns["created_at"]),
    )


def outcome_of(columns: Row) -> Outcome:
    """Return the outcome that `columns` of `evaluations` hold."""
    values: Columns = {name: columns[name] for name in _SINGLE}
    metrics = Metrics(**values | {name: tuple(json.loads(columns[name])) for name in _PER_EPOCH})
    if columns["failure"] is None:
        return Completed(columns["accuracy"], metrics)
    return Failed(FailureKind(columns["failure"]), columns["message"], metrics)


def run_columns(run: Run) -> Columns:
    """Return `run` as columns of `runs`."""
    return {
        "id": run.id,
        "command": run.command,
        "configuration": json.dumps(run.configuration),
        "seed": run.seed,
        "versions": json.dumps(run.provenance.versions),
        "hardware": json.dumps(run.provenance.hardware),
        "git_commit": run.provenance.git_commit,
        "status": run.status.value,
        "started_at": time_text(run.started_at),
        "finished_at": None if run.finished_at is None else time_text(run.finished_at),
        "result": None if run.result is None else json.dumps(run.result),
    }


def run_of(columns: Row) -> Run:
    """Return the run that `columns` of `runs` hold."""
    return Run(
        id=columns["id"],
        command=columns["command"],
        configuration=json.loads(columns["configuration"]),
        seed=columns["seed"],
        provenance=Provenance(json.loads(columns["versions"]), json.loads(columns["hardware"]), columns["git_commit"]),
        status=RunStatus(columns["status"]),
        started_at=time_of(columns["started_at"]),
        finished_at=None if columns["finished_at"] is None else time_of(columns["finished_at"]),
        result=None if columns["result"] is None else json.loads(columns["result"]),
    )


def step_columns(step: Step) -> Columns:
    """Return `step` as columns of `steps`."""
    failed = step.outcome if step.evaluation is None and isinstance(step.outcome, Failed) else None
    return {
        "run": step.run,
        "phase": step.phase,
        "number": step.number,
        "architecture": step.architecture,
        "from_store": step.from_store,
        "evaluation": None if step.evaluation is None else step.evaluation.id,
        "failure": failed.kind.value if failed else None,
        "message": failed.message if failed else None,
    }


def step_of(columns: Row, evaluation: StoredEvaluation | None) -> Step:
    """Return the step that `columns` of `steps` hold, with the evaluation behind it."""
    outcome = Failed(FailureKind(columns["failure"]), columns["message"]) if evaluation is None else evaluation.outcome
    return Step(
        run=columns["run"],
        number=columns["number"],
        architecture=columns["architecture"],
        outcome=outcome,
        from_store=columns["from_store"],
        evaluation=evaluation,
        phase=columns["phase"],
    )


def request_columns(request: QueuedRequest, queued_at: float) -> Columns:
    """Return `request` as columns of `requests`, queued at `queued_at`, seconds since 1970."""
    return {
        "run": request.run,
        "phase": request.phase,
        "number": request.number,
        "evaluation": evaluation_id(request.key),
        "architecture": request.architecture,
        "queued_at": queued_at,
    } | {name: getattr(request.key, name) for name in _KEY}


def request_of(columns: Row) -> QueuedRequest:
    """Return the request that `columns` of `requests` hold."""
    return QueuedRequest(
        run=columns["run"],
        number=columns["number"],
        key=EvaluationKey(**{name: columns[name] for name in _KEY}),
        architecture=columns["architecture"],
        phase=columns["phase"],
    )


def time_text(time: datetime) -> str:
    """Return `time` as ISO 8601 text in UTC with microseconds; texts sort as times do."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def time_of(text: str) -> datetime:
    """Return the time that `time_text` wrote."""
    return datetime.fromisoformat(text)
