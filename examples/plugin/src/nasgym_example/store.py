"""The store `jsonl://FILE`: an append-only file in which every line is one transaction. POSIX systems.

A line is a JSON object with some of the lists `evaluations`, `runs`, `steps`, `requests`, `leases` and `withdrawn`.
It is written under an exclusive lock and flushed to the disk before the call returns, so a line that breaks off belongs
to a call that never returned: the next writer cuts it off. All of it is kept in memory as well; before each answer the
lines that others added are read.
"""

import fcntl
import heapq
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from nasgym.core.errors import StoreError
from nasgym.evaluation import EvaluationKey, Outcome
from nasgym.store import (
    SEARCH_PHASE,
    Added,
    Answered,
    Claim,
    EvaluationQuery,
    Held,
    Order,
    QueuedRequest,
    Run,
    Step,
    Store,
    StoredEvaluation,
    Won,
    evaluation_id,
)
from nasgym.store.columns import (
    evaluation_columns,
    evaluation_of,
    request_columns,
    request_of,
    run_columns,
    run_of,
    step_columns,
    step_of,
)
from nasgym.store.rows import conflict

SCHEME = "jsonl://"
EVERYTHING = EvaluationQuery()

Place = tuple[str, str, int]
"""Run, phase and number of a step."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Who evaluates what, until when; the clock is that of the machine, which all its processes share.

    Attributes:
        owner: `None` once it is released.
        expires_at: seconds since 1970.
        losses: leases before it that ran out.
    """

    owner: str | None
    expires_at: float
    losses: int

    def is_free(self, owner: str) -> bool:
        """Return whether `owner` may take it."""
        return self.owner in (None, owner) or self.expires_at <= time.time()


def open_jsonl(url: str) -> "JsonLinesStore":
    """Return the store of `jsonl://FILE`; a new file, and its folder, are made where there are none.

    Raises:
        StoreError: the file cannot be made or read.
    """
    path = Path(url.removeprefix(SCHEME)).expanduser().absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        raise StoreError(f"{path}: cannot be made ({error.strerror}). Name another file.") from error
    return JsonLinesStore(path)


class JsonLinesStore(Store):
    """Evaluations, runs and steps in a file of JSON lines. Several processes may use one file.

    Args:
        path: the file, which exists.

    Raises:
        StoreError: it is damaged, or no such file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._end = 0
        self._evaluations: dict[str, StoredEvaluation] = {}
        self._runs: dict[str, Run] = {}
        self._steps: dict[Place, Step] = {}
        self._requests: dict[Place, QueuedRequest] = {}
        self._leases: dict[str, Lease] = {}
        self._refresh()

    def __reduce__(self) -> tuple[Any, ...]:
        return JsonLinesStore, (self._path,)

    @property
    def url(self) -> str:
        """`jsonl://` and the file."""
        return f"{SCHEME}{self._path}"

    def close(self) -> None:
        """Do nothing: the file is open during a call only."""

    def get_many(self, keys: Sequence[EvaluationKey]) -> dict[EvaluationKey, Outcome]:
        """Return the outcomes kept under `keys`."""
        self._refresh()
        rows = {key: self._evaluations.get(evaluation_id(key)) for key in keys}
        return {key: row.outcome for key, row in rows.items() if row is not None}

    def add(self, rows: Iterable[StoredEvaluation]) -> Added:
        """Keep `rows` unless their keys are known, in one transaction."""
        with self._writing() as line:
            return self._add(rows, line)

    def evaluations(self, query: EvaluationQuery = EVERYTHING) -> Iterator[StoredEvaluation]:
        """Yield the evaluations that `query` selects, as they are when the first one is asked for."""
        self._refresh()
        rows = [row for row in self._evaluations.values() if _selects(query, row)]
        if query.order is Order.NEWEST:
            rows.reverse()
        elif query.order is Order.BEST:
            rows.sort(key=lambda row: -1.0 if row.accuracy is None else row.accuracy, reverse=True)
        yield from rows[: query.limit]

    def evaluations_with_id(self, prefix: str) -> list[StoredEvaluation]:
        """Return at most two evaluations whose id starts with `prefix`."""
        self._refresh()
        return heapq.nsmallest(2, (row for row in self._evaluations.values() if row.id.startswith(prefix)), key=_id)

    def save_run(self, run: Run) -> None:
        """Keep `run`, in place of what was kept under its id."""
        with self._writing() as line:
            line["runs"] = [run_columns(run)]

    def runs(self, *, command: str | None = None, id_prefix: str = "", limit: int | None = None) -> Iterator[Run]:
        """Yield runs, the newest first."""
        self._refresh()
        found = [run for run in self._runs.values() if command in (None, run.command) and run.id.startswith(id_prefix)]
        yield from sorted(found, key=lambda run: run.started_at, reverse=True)[:limit]

    def save_steps(self, steps: Iterable[Step]) -> list[Step]:
        """Keep `steps` and their evaluations in one transaction; return what is kept under their numbers."""
        asked = list(steps)
        with self._writing() as line:
            self._add((step.evaluation for step in asked if step.evaluation is not None), line)
            known = self._steps.copy()
            for step in asked:
                kept = known.get(_place(step))
                if kept is None or (kept.evaluation is None and kept.architecture == step.architecture):
                    known[_place(step)] = step
                    line.setdefault("steps", []).append(step_columns(step))
        return [self._steps[_place(step)] for step in asked]

    def steps(self, run: str, *, phase: str = SEARCH_PHASE) -> Iterator[Step]:
        """Yield the steps of a phase of run `run` by number."""
        self._refresh()
        yield from [self._steps[place] for place in sorted(self._steps) if place[:2] == (run, phase)]

    def phases(self, run: str) -> list[str]:
        """Return the phases of which run `run` has steps."""
        self._refresh()
        return sorted({phase for name, phase, _ in self._steps if name == run})

    def claim(self, keys: Sequence[EvaluationKey], owner: str, seconds: float) -> dict[EvaluationKey, Claim]:
        """Take the leases on `keys` that nobody else holds, for `seconds`."""
        with self._writing() as line:
            claims = {key: self._claim(evaluation_id(key), owner) for key in keys}
            won = {key: claim.losses for key, claim in claims.items() if isinstance(claim, Won)}
            line["leases"] = [_lease_columns(key, owner, time.time() + seconds, losses) for key, losses in won.items()]
            answered = {evaluation_id(key) for key, claim in claims.items() if isinstance(claim, Answered)}
            line["withdrawn"] = [place for place, name in self._waiting() if name in answered]
        return claims

    def renew(self, keys: Sequence[EvaluationKey], owner: str, seconds: float) -> set[EvaluationKey]:
        """Let the leases of `owner` on `keys` last for `seconds` from now; return those it still holds."""
        with self._writing() as line:
            held = self._held(keys, owner)
            line["leases"] = [
                _lease_columns(key, owner, time.time() + seconds, lease.losses) for key, lease in held.items()
            ]
        return set(held)

    def release(self, keys: Sequence[EvaluationKey], owner: str) -> None:
        """Let go of the leases of `owner` on `keys`."""
        with self._writing() as line:
            held = self._held(keys, owner)
            line["leases"] = [_lease_columns(key, None, 0.0, lease.losses) for key, lease in held.items()]

    def queue(self, requests: Iterable[QueuedRequest]) -> None:
        """Keep `requests` for whoever has time."""
        with self._writing() as line:
            line["requests"] = [request_columns(request, time.time()) for request in requests]

    def queued(self, *, run: str | None = None, limit: int = 100) -> list[QueuedRequest]:
        """Return requests that wait and nobody holds a lease on, in the order of the file."""
        self._refresh()
        free = Lease(None, 0.0, 0)
        names = [place for place, name in self._waiting() if self._leases.get(name, free).is_free("")]
        return [self._requests[place] for place in names if run in (None, place[0])][:limit]

    def withdraw(self, run: str) -> None:
        """Drop the requests of `run` that wait."""
        with self._writing() as line:
            line["withdrawn"] = [place for place, _ in self._waiting() if place[0] == run]

    def _claim(self, name: str, owner: str) -> Claim:
        """Return what becomes of the claim of `owner` to the evaluation of that id."""
        known, lease = self._evaluations.get(name), self._leases.get(name)
        if known is not None:
            return Answered(known.outcome)
        if lease is None:
            return Won(0)
        if lease.is_free(owner):
            return Won(lease.losses + (lease.owner not in (None, owner)))
        return Held(str(lease.owner), lease.expires_at - time.time())

    def _held(self, keys: Sequence[EvaluationKey], owner: str) -> dict[EvaluationKey, Lease]:
        leases = {key: self._leases.get(evaluation_id(key)) for key in keys}
        return {key: lease for key, lease in leases.items() if lease is not None and lease.owner == owner}

    def _waiting(self) -> list[tuple[Place, str]]:
        """Return the places of the requests that wait, and the ids of their evaluations."""
        return [(place, evaluation_id(request.key)) for place, request in self._requests.items()]

    def _add(self, rows: Iterable[StoredEvaluation], line: dict[str, Any]) -> Added:
        """Put those of `rows` that are new into `line`."""
        total = Added()
        new: dict[str, StoredEvaluation] = {}
        for row in rows:
            known = self._evaluations.get(row.id) or new.get(row.id)
            if known is None:
                if row.run is not None and row.run not in self._runs:
                    raise StoreError(f"No run {row.run!r} in {self.url}; start it with start_run first.")
                new[row.id] = row
                total += Added(new=1)
            else:
                total += Added(conflicting=1) if conflict(known.outcome, row.outcome) else Added(duplicate=1)
        if new:
            line["evaluations"] = [evaluation_columns(row) for row in new.values()]
        return total

    @contextmanager
    def _writing(self) -> Iterator[dict[str, Any]]:
        """Give an empty line to fill, while nobody else writes; then append, flush and apply it."""
        line: dict[str, Any] = {}
        try:
            with self._path.open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                self._read(file)
                yield line
                if any(line.values()):
                    file.truncate(self._end)
                    file.seek(self._end)
                    file.write(json.dumps(line).encode() + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
                    self._read(file)
        except OSError as error:
            raise StoreError(f"{self.url}: cannot be written ({error.strerror}). What was finished is kept.") from error

    def _refresh(self) -> None:
        try:
            if self._path.stat().st_size > self._end:
                with self._path.open("rb") as file:
                    self._read(file)
        except OSError as error:
            raise StoreError(f"{self.url}: cannot be read ({error.strerror}). Check the file.") from error

    def _read(self, file: BinaryIO) -> None:
        """Apply the complete lines after what is known."""
        file.seek(self._end)
        for text in file:
            if not text.endswith(b"\n"):
                return
            try:
                self._apply(json.loads(text))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise StoreError(
                    f"{self.url}: the line at byte {self._end} is no transaction ({error!r}). Is it another file?"
                ) from error
            self._end += len(text)

    def _apply(self, line: dict[str, list[Any]]) -> None:
        for columns in line.get("evaluations", ()):
            row = evaluation_of(columns)
            self._evaluations.setdefault(row.id, row)
            self._settle(row.id)
        for columns in line.get("runs", ()):
            run = run_of(columns)
            self._runs[run.id] = run
        for columns in line.get("steps", ()):
            evaluation = None if columns["evaluation"] is None else self._evaluations[columns["evaluation"]]
            step = step_of(columns, evaluation)
            self._steps[_place(step)] = step
        for columns in line.get("requests", ()):
            request = request_of(columns)
            self._requests.setdefault(_place(request), request)
        for columns in line.get("leases", ()):
            self._leases[columns["evaluation"]] = Lease(columns["owner"], columns["expires_at"], columns["losses"])
        for run, phase, number in line.get("withdrawn", ()):
            self._requests.pop((run, phase, number), None)

    def _settle(self, name: str) -> None:
        """End the lease on an evaluation that is there now, and the requests for it."""
        self._leases.pop(name, None)
        for place, waiting in self._waiting():
            if waiting == name:
                del self._requests[place]


def _place(item: Step | QueuedRequest) -> Place:
    return item.run, item.phase, item.number


def _lease_columns(key: EvaluationKey, owner: str | None, expires_at: float, losses: int) -> dict[str, Any]:
    return {"evaluation": evaluation_id(key), "owner": owner, "expires_at": expires_at, "losses": losses}


def _id(row: StoredEvaluation) -> str:
    return row.id


def _selects(query: EvaluationQuery, row: StoredEvaluation) -> bool:
    return (
        query.task in (None, row.task)
        and query.data in (None, row.key.data)
        and query.estimator in (None, row.key.estimator)
        and query.run in (None, row.run)
        and query.failed in (None, row.accuracy is None)
    )
