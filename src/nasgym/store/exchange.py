"""What goes out of a store and into it: CSV, JSON, and another store."""

import csv
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, TextIO

from nasgym.core.errors import StoreError
from nasgym.evaluation import Completed
from nasgym.store.base import Store
from nasgym.store.opening import open_store
from nasgym.store.rows import RECORD_FIELDS, Added, EvaluationQuery, Run, Step, StoredEvaluation

ExportFormat = Literal["csv", "json"]
_SQLITE_MAGIC = b"SQLite format 3\x00"


@dataclass(frozen=True)
class ImportReport:
    """What became of an import.

    Attributes:
        evaluations: kept, known already, contradicting what is known.
        runs: runs that were new.
        merged: rows of the file that name a network already seen in it, and were dropped.
        skipped: why rows could not be read, one sentence each, with the line.
    """

    evaluations: Added = field(default_factory=Added)
    runs: int = 0
    merged: int = 0
    skipped: tuple[str, ...] = ()


def export_store(
    store: Store, target: TextIO | Path, *, form: ExportFormat, query: EvaluationQuery | None = None
) -> int:
    """Write the evaluations that `query` selects, and for JSON the runs with their steps, row by row.

    CSV has one evaluation a line, per-epoch numbers as JSON text and nothing for what is missing. JSON is one object
    `{"evaluations": […], "runs": […]}`; a number that is not finite becomes `null`. A file appears when it is complete.

    Returns:
        The number of evaluations written.

    Raises:
        StoreError: the file cannot be written, or the store not read.
    """
    if isinstance(target, Path):
        with _complete_file(target) as stream:
            return export_store(store, stream, form=form, query=query)
    rows = store.evaluations(query or EvaluationQuery())
    return _write_csv(rows, target) if form == "csv" else _write_json(store, rows, target)


def merge_store(source: Store, target: Store) -> ImportReport:
    """Copy the evaluations, runs and steps of `source` into `target`. Doing it twice changes nothing more.

    A run that both hold keeps the later ending.

    Raises:
        StoreError: either store fails; what was copied until then stays, and the merge can be repeated.
    """
    new_runs = sum(_merge_run(run, target) for run in source.runs())
    added = target.add(source.evaluations())
    for run in source.runs():
        for phase in source.phases(run.id):
            target.save_steps(source.steps(run.id, phase=phase))
    return ImportReport(added, new_runs)


def import_into(store: Store, location: str, *, label: str | None = None) -> ImportReport:
    """Import another nasgym store (a file or URL) or NASGym's CSV, told apart by content.

    Args:
        store: imports.
        location: what to import.
        label: names the trainings of a CSV, see `nasgym.store.nasgym_csv`; only for a CSV.

    Raises:
        StoreError: it is neither, or cannot be read.
    """
    from nasgym.store.nasgym_csv import import_nasgym_csv, is_nasgym_csv

    path = Path(location).expanduser()
    is_store = "://" in location or _begins(path, _SQLITE_MAGIC)
    if is_store and label is not None:
        raise StoreError(f"{location} is a store, whose evaluations keep their names: leave out the label {label!r}.")
    if is_store:
        with open_store(location, create=False) as source:
            return merge_store(source, store)
    if is_nasgym_csv(path):
        return import_nasgym_csv(store, path, label=label)
    raise StoreError(
        f"{path} is neither a nasgym store nor a CSV of NASGym, which begins with dataset-nethash,netstring,reward,…"
    )


def _begins(path: Path, magic: bytes) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(len(magic)) == magic
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.") from error


def _merge_run(run: Run, target: Store) -> bool:
    """Keep `run` in `target` unless it is there with a later ending; return whether it is new."""
    known = next((other for other in target.runs(id_prefix=run.id) if other.id == run.id), None)
    ended = run.finished_at
    if known is None or (ended is not None and (known.finished_at is None or known.finished_at < ended)):
        target.save_run(run)
    return known is None


@contextmanager
def _complete_file(path: Path) -> Iterator[TextIO]:
    """Give a stream to a file beside `path`, which takes its place when all is written."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="") as stream:
            yield stream
        partial.replace(path)
    except OSError as error:
        raise StoreError(f"Export {path} cannot be written: {error.strerror or error}.") from error
    finally:
        partial.unlink(missing_ok=True)


def _write_csv(rows: Iterator[StoredEvaluation], stream: IO[str]) -> int:
    writer = csv.DictWriter(stream, RECORD_FIELDS)
    writer.writeheader()
    count = 0
    for row in rows:
        record = row.record()
        writer.writerow({name: json_text(part) if isinstance(part, list) else part for name, part in record.items()})
        count += 1
    return count


def _write_json(store: Store, rows: Iterator[StoredEvaluation], stream: IO[str]) -> int:
    stream.write('{"evaluations": [')
    count = 0
    for count, row in enumerate(rows, start=1):
        stream.write(",\n" if count > 1 else "\n")
        stream.write(json_text(row.record() | {"nsc": row.nsc}))
    stream.write('\n],\n"runs": [')
    for number, run in enumerate(store.runs()):
        stream.write(",\n" if number else "\n")
        stream.write(json_text(run_record(store, run)))
    stream.write("\n]}\n")
    return count


def run_record(store: Store, run: Run) -> dict[str, Any]:
    """Return all of a run, its steps included, as a dictionary of JSON values."""
    steps = [step for phase in store.phases(run.id) for step in store.steps(run.id, phase=phase)]
    return {
        "id": run.id,
        "command": run.command,
        "configuration": run.configuration,
        "seed": run.seed,
        "versions": run.provenance.versions,
        "hardware": run.provenance.hardware,
        "git_commit": run.provenance.git_commit,
        "status": run.status.value,
        "started_at": run.started_at.isoformat(),
        "finished_at": None if run.finished_at is None else run.finished_at.isoformat(),
        "result": run.result,
        "steps": [_step_record(step) for step in steps],
    }


def _step_record(step: Step) -> dict[str, Any]:
    outcome = step.outcome
    return {
        "phase": step.phase,
        "number": step.number,
        "architecture": step.architecture,
        "evaluation": None if step.evaluation is None else step.evaluation.id,
        "from_store": step.from_store,
        "accuracy": outcome.accuracy if isinstance(outcome, Completed) else None,
        "failure": None if isinstance(outcome, Completed) else outcome.kind.value,
    }


def json_text(value: Any) -> str:
    """Return `value` as standard JSON, with `null` for numbers that are not finite."""
    return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {name: _finite(part) for name, part in value.items()}
        case list() | tuple():
            return [_finite(part) for part in value]
        case _:
            return value
