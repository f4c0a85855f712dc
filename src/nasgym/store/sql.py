"""The store in an SQL database: SQLite by default, PostgreSQL by URL, through the same statements."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import URL, ColumnElement, Connection, Select, Table, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from nasgym.evaluation import EvaluationKey, Outcome
from nasgym.store import sql_leases
from nasgym.store.base import EVERYTHING, Store
from nasgym.store.columns import (
    evaluation_columns,
    evaluation_of,
    outcome_of,
    request_columns,
    run_columns,
    run_of,
    step_columns,
    step_of,
)
from nasgym.store.database import BUSY_SECONDS, PATIENCE_SECONDS, Database
from nasgym.store.leases import Claim, QueuedRequest
from nasgym.store.migration import ensure_schema
from nasgym.store.rows import (
    SEARCH_PHASE,
    Added,
    EvaluationQuery,
    Order,
    Run,
    Step,
    StoredEvaluation,
    evaluation_id,
)
from nasgym.store.schema import EVALUATIONS, REQUESTS, RUNS, STEPS
from nasgym.store.training_sql import SqlTrainingLog

PAGE = 500
"""Rows read or written at a time: a reader never holds a transaction open between pages."""

T = TypeVar("T")


class SqlStore(Store):
    """A store in an SQL database; made by `open_store`.

    Args:
        url: of the database.
        create: whether an empty database becomes a store.
        busy_seconds: how long to wait for a locked SQLite file.
        patience: how long a lost connection to a server is tried to be made again.

    Raises:
        StoreError: the database cannot be opened, or is not a store this version can read.
    """

    def __init__(
        self,
        url: URL,
        *,
        create: bool = True,
        busy_seconds: float = BUSY_SECONDS,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._url = url
        self._waits = {"busy_seconds": busy_seconds, "patience": patience}
        self._database = Database(url, busy_seconds=busy_seconds, patience=patience)
        ensure_schema(self._database, create=create)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._url.render_as_string(hide_password=False), self._waits)

    @property
    def url(self) -> str:
        """The file of a SQLite store; else the URL without its password."""
        return self._database.name

    def close(self) -> None:
        """Let go of connections; the store opens new ones when it is used again."""
        self._database.close()

    def training_log(self) -> SqlTrainingLog:
        """Return what keeps the updates and meta-episodes of agents."""
        return SqlTrainingLog(self._database)

    def get_many(self, keys: Sequence[EvaluationKey]) -> dict[EvaluationKey, Outcome]:
        """Return the outcomes kept under `keys`; a key that is not known is left out."""
        by_id = {evaluation_id(key): key for key in keys}
        found: dict[EvaluationKey, Outcome] = {}
        for ids in _pages(by_id):
            for row in self._database.rows(select(EVALUATIONS).where(EVALUATIONS.c.id.in_(ids))):
                found[by_id[row["id"]]] = outcome_of(row)
        return found

    def add(self, rows: Iterable[StoredEvaluation]) -> Added:
        """Keep `rows` unless their keys are known, and say what became of them; a page is one transaction."""
        total = Added()
        for page in _pages(rows):
            what = f"{len(page)} evaluations, the first of {page[0].architecture!r} on {page[0].task!r}"
            total += self._database.write(partial(self._add, page), what, one_statement=True)
        return total

    def evaluations(self, query: EvaluationQuery = EVERYTHING) -> Iterator[StoredEvaluation]:
        """Yield the evaluations that `query` selects, a page at a time, while others may write."""
        left = query.limit
        last: Any = None
        while left is None or left > 0:
            statement = _selected(query, last).limit(PAGE if left is None else min(left, PAGE))
            page = self._database.rows(statement)
            for row in page:
                yield evaluation_of(row)
            if len(page) < PAGE:
                return
            last = page[-1]
            left = None if left is None else left - len(page)

    def evaluations_with_id(self, prefix: str) -> list[StoredEvaluation]:
        """Return at most two evaluations whose id starts with `prefix`."""
        column = EVALUATIONS.c.id
        statement = select(EVALUATIONS).where(column.startswith(prefix, autoescape=True)).order_by(column).limit(2)
        return [evaluation_of(row) for row in self._database.rows(statement)]

    def save_run(self, run: Run) -> None:
        """Keep `run`, in place of what was kept under its id."""
        columns = run_columns(run)
        statement = self._insert(RUNS).values(columns)
        statement = statement.on_conflict_do_update(index_elements=[RUNS.c.id], set_=columns)
        self._database.write(lambda connection: connection.execute(statement), f"run {run.id}, {run.status.value}")

    def runs(self, *, command: str | None = None, id_prefix: str = "", limit: int | None = None) -> Iterator[Run]:
        """Yield runs, the newest first."""
        statement = select(RUNS).order_by(RUNS.c.started_at.desc(), RUNS.c.id).limit(limit)
        if command is not None:
            statement = statement.where(RUNS.c.command == command)
        if id_prefix:
            statement = statement.where(RUNS.c.id.startswith(id_prefix, autoescape=True))
        for row in self._database.rows(statement):
            yield run_of(row)

    def save_steps(self, steps: Iterable[Step]) -> list[Step]:
        """Keep `steps`, and their evaluations unless known; return what is kept under their numbers."""
        kept: list[Step] = []
        for page in _pages(steps):
            what = f"steps {page[0].number} to {page[-1].number} of run {page[0].run}"
            kept += self._database.write(partial(self._save_steps, page), what)
        return kept

    def steps(self, run: str, *, phase: str = SEARCH_PHASE) -> Iterator[Step]:
        """Yield the steps of a phase of run `run` by number."""
        last = None
        while True:
            statement = select(STEPS).where(STEPS.c.run == run, STEPS.c.phase == phase).order_by(STEPS.c.number)
            if last is not None:
                statement = statement.where(STEPS.c.number > last)
            page = self._database.read(partial(_steps, statement.limit(PAGE)))
            yield from page
            if len(page) < PAGE:
                return
            last = page[-1].number

    def phases(self, run: str) -> list[str]:
        """Return the phases of which run `run` has steps, in alphabetical order."""
        statement = select(STEPS.c.phase).where(STEPS.c.run == run).distinct().order_by(STEPS.c.phase)
        return [row["phase"] for row in self._database.rows(statement)]

    def claim(self, keys: Sequence[EvaluationKey], owner: str, seconds: float) -> dict[EvaluationKey, Claim]:
        """Take the leases on `keys` that nobody else holds, for `seconds` by the clock of the database."""
        claims: dict[EvaluationKey, Claim] = {}
        for page in _pages(keys):
            work = partial(sql_leases.claim, keys=page, owner=owner, seconds=seconds)
            claims |= self._database.write(work, f"{len(page)} leases of {owner}")
        return claims

    def renew(self, keys: Sequence[EvaluationKey], owner: str, seconds: float) -> set[EvaluationKey]:
        """Let the leases of `owner` on `keys` last for `seconds` from now; return those it still holds."""
        held: set[EvaluationKey] = set()
        for page in _pages(keys):
            work = partial(sql_leases.renew, keys=page, owner=owner, seconds=seconds)
            held |= self._database.write(work, f"{len(page)} leases of {owner}")
        return held

    def release(self, keys: Sequence[EvaluationKey], owner: str) -> None:
        """Let go of the leases of `owner` on `keys`, so that others may take them at once."""
        for page in _pages(keys):
            self._database.write(partial(sql_leases.release, keys=page, owner=owner), f"that {owner} has ended")

    def queue(self, requests: Iterable[QueuedRequest]) -> None:
        """Keep `requests` for whoever has time; each until there is an outcome, or its run withdraws it."""
        for page in _pages(requests):

            def insert_page(connection: Connection, page: list[QueuedRequest] = page) -> None:
                queued_at = sql_leases.clock(connection)
                columns = [request_columns(request, queued_at) for request in page]
                connection.execute(self._insert(REQUESTS).on_conflict_do_nothing(), columns)

            self._database.write(insert_page, f"{len(page)} requests of run {page[0].run}")

    def queued(self, *, run: str | None = None, limit: int = 100) -> list[QueuedRequest]:
        """Return requests that wait and nobody holds a lease on, those queued first coming first."""
        return self._database.read(partial(sql_leases.open_requests, run=run, limit=limit))

    def withdraw(self, run: str) -> None:
        """Drop the requests of `run` that wait."""
        statement = delete(REQUESTS).where(REQUESTS.c.run == run)
        self._database.write(lambda connection: connection.execute(statement), f"that run {run} has ended")

    def _add(self, page: list[StoredEvaluation], connection: Connection) -> Added:
        columns = [evaluation_columns(row) for row in page]
        statement = self._insert(EVALUATIONS).on_conflict_do_nothing().returning(EVALUATIONS.c.id)
        new = len(connection.execute(statement, columns).all())
        if new == len(page):
            return Added(new=new)
        decisive = select(EVALUATIONS.c.id, EVALUATIONS.c.accuracy, EVALUATIONS.c.failure)
        found = connection.execute(decisive.where(EVALUATIONS.c.id.in_({row["id"] for row in columns})))
        kept = {name: (accuracy, failure) for name, accuracy, failure in found}
        conflicting = sum(kept[row["id"]] != (row["accuracy"], row["failure"]) for row in columns)
        return Added(new, len(page) - new - conflicting, conflicting)

    def _save_steps(self, page: list[Step], connection: Connection) -> list[Step]:
        evaluations = [step.evaluation for step in page if step.evaluation is not None]
        known = bool(evaluations) and self._add(evaluations, connection).new < len(evaluations)
        columns = [step_columns(step) for step in page]
        statement = self._insert(STEPS).on_conflict_do_nothing().returning(STEPS.c.number)
        new = len(connection.execute(statement, columns).all())
        if new == len(page) and not known:
            return page
        for step in page:
            if new < len(page) and step.evaluation is not None:
                same = _place(step) & STEPS.c.evaluation.is_(None) & (STEPS.c.architecture == step.architecture)
                connection.execute(update(STEPS).where(same).values(step_columns(step)))
        return [_steps(select(STEPS).where(_place(step)), connection)[0] for step in page]

    def _insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        return postgresql.insert(table) if self._database.dialect == "postgresql" else sqlite.insert(table)


def _reopen(url: str, waits: dict[str, float]) -> SqlStore:
    from sqlalchemy import make_url

    return SqlStore(make_url(url), create=False, **waits)


def _pages(items: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(items)
    while page := list(islice(remaining, PAGE)):
        yield page


def _place(step: Step) -> ColumnElement[bool]:
    return (STEPS.c.run == step.run) & (STEPS.c.phase == step.phase) & (STEPS.c.number == step.number)


def _selected(query: EvaluationQuery, last: Any) -> Select[Any]:
    """Return what `query` selects after row `last`, in its order."""
    columns = EVALUATIONS.c
    statement = select(EVALUATIONS)
    for name in ("task", "data", "estimator", "run"):
        wanted = getattr(query, name)
        if wanted is not None:
            statement = statement.where(columns[name] == wanted)
    if query.failed is not None:
        statement = statement.where(columns.failure.is_not(None) if query.failed else columns.failure.is_(None))
    match query.order:
        case Order.OLDEST:
            after = None if last is None else columns.number > last["number"]
            statement = statement.order_by(columns.number)
        case Order.NEWEST:
            after = None if last is None else columns.number < last["number"]
            statement = statement.order_by(columns.number.desc())
        case Order.BEST:
            after = None if last is None else _after_best(last)
            statement = statement.order_by(columns.accuracy.desc().nulls_last(), columns.number)
    return statement if after is None else statement.where(after)


def _after_best(last: Any) -> Any:
    accuracy, number = EVALUATIONS.c.accuracy, EVALUATIONS.c.number
    if last["accuracy"] is None:
        return accuracy.is_(None) & (number > last["number"])
    equal = (accuracy == last["accuracy"]) & (number > last["number"])
    return accuracy.is_(None) | (accuracy < last["accuracy"]) | equal


def _steps(statement: Select[Any], connection: Connection) -> list[Step]:
    rows = connection.execute(statement).mappings().all()
    ids = {row["evaluation"] for row in rows if row["evaluation"] is not None}
    found = connection.execute(select(EVALUATIONS).where(EVALUATIONS.c.id.in_(ids))).mappings() if ids else ()
    evaluations = {row["id"]: evaluation_of(row) for row in found}
    return [step_of(row, evaluations.get(row["evaluation"])) for row in rows]
