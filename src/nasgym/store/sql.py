"""The store in an SQL database: SQLite by default, PostgreSQL by URL, through the same statements."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import URL, ColumnElement, Connection, Select, Table, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from nasgym.evaluation import EvaluationKey, Outcome
from nasgym.store.base import EVERYTHING, Store
from nasgym.store.columns import (
    evaluation_columns,
    evaluation_of,
    outcome_of,
    run_columns,
    run_of,
    step_columns,
    step_of,
)
from nasgym.store.database import BUSY_SECONDS, Database
from nasgym.store.migration import ensure_schema
from nasgym.store.rows import (
    SEARCH_PHASE,
    Added,
    EvaluationQuery,
    Order,
    Run,
    Step,
    StoredEvaluation,
    conflict,
    evaluation_id,
)
from nasgym.store.schema import EVALUATIONS, RUNS, STEPS

PAGE = 500
"""Rows read or written at a time: a reader never holds a transaction open between pages."""

T = TypeVar("T")


class SqlStore(Store):
    """A store in an SQL database; made by `open_store`.

    Args:
        url: of the database.
        create: whether an empty database becomes a store.
        busy_seconds: how long to wait for a locked SQLite file.

    Raises:
        StoreError: the database cannot be opened, or is not a store this version can read.
    """

    def __init__(self, url: URL, *, create: bool = True, busy_seconds: float = BUSY_SECONDS) -> None:
        self._url = url
        self._busy_seconds = busy_seconds
        self._database = Database(url, busy_seconds=busy_seconds)
        ensure_schema(self._database, create=create)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._url.render_as_string(hide_password=False), self._busy_seconds)

    @property
    def url(self) -> str:
        """The file of a SQLite store; else the URL without its password."""
        return self._database.name

    def close(self) -> None:
        """Let go of connections; the store opens new ones when it is used again."""
        self._database.close()

    def get_many(self, keys: Sequence[EvaluationKey]) -> dict[EvaluationKey, Outcome]:
        """Return the outcomes kept under `keys`; a key that is not known is left out."""
        by_id = {evaluation_id(key): key for key in keys}
        found: dict[EvaluationKey, Outcome] = {}
        for ids in _pages(by_id):
            with self._database.reading() as connection:
                for row in connection.execute(select(EVALUATIONS).where(EVALUATIONS.c.id.in_(ids))).mappings():
                    found[by_id[row["id"]]] = outcome_of(row)
        return found

    def add(self, rows: Iterable[StoredEvaluation]) -> Added:
        """Keep `rows` unless their keys are known, and say what became of them; a page is one transaction."""
        total = Added()
        for page in _pages(rows):
            with self._database.writing() as connection:
                total += self._add(connection, page)
        return total

    def evaluations(self, query: EvaluationQuery = EVERYTHING) -> Iterator[StoredEvaluation]:
        """Yield the evaluations that `query` selects, a page at a time, while others may write."""
        left = query.limit
        last: Any = None
        while left is None or left > 0:
            statement = _selected(query, last).limit(PAGE if left is None else min(left, PAGE))
            with self._database.reading() as connection:
                page = connection.execute(statement).mappings().all()
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
        with self._database.reading() as connection:
            return [evaluation_of(row) for row in connection.execute(statement).mappings()]

    def save_run(self, run: Run) -> None:
        """Keep `run`, in place of what was kept under its id."""
        columns = run_columns(run)
        with self._database.writing() as connection:
            changed = connection.execute(update(RUNS).where(RUNS.c.id == run.id).values(columns)).rowcount
            if not changed:
                connection.execute(insert(RUNS).values(columns))

    def runs(self, *, command: str | None = None, id_prefix: str = "", limit: int | None = None) -> Iterator[Run]:
        """Yield runs, the newest first."""
        statement = select(RUNS).order_by(RUNS.c.started_at.desc(), RUNS.c.id).limit(limit)
        if command is not None:
            statement = statement.where(RUNS.c.command == command)
        if id_prefix:
            statement = statement.where(RUNS.c.id.startswith(id_prefix, autoescape=True))
        with self._database.reading() as connection:
            found = connection.execute(statement).mappings().all()
        for row in found:
            yield run_of(row)

    def save_steps(self, steps: Iterable[Step]) -> list[Step]:
        """Keep `steps`, and their evaluations unless known; return what is kept under their numbers."""
        kept: list[Step] = []
        for page in _pages(steps):
            with self._database.writing() as connection:
                kept += self._save_steps(connection, page)
        return kept

    def steps(self, run: str, *, phase: str = SEARCH_PHASE) -> Iterator[Step]:
        """Yield the steps of a phase of run `run` by number."""
        last = None
        while True:
            statement = select(STEPS).where(STEPS.c.run == run, STEPS.c.phase == phase).order_by(STEPS.c.number)
            if last is not None:
                statement = statement.where(STEPS.c.number > last)
            with self._database.reading() as connection:
                page = _steps(connection, statement.limit(PAGE))
            yield from page
            if len(page) < PAGE:
                return
            last = page[-1].number

    def phases(self, run: str) -> list[str]:
        """Return the phases of which run `run` has steps, in alphabetical order."""
        statement = select(STEPS.c.phase).where(STEPS.c.run == run).distinct().order_by(STEPS.c.phase)
        with self._database.reading() as connection:
            return list(connection.execute(statement).scalars())

    def _add(self, connection: Connection, page: list[StoredEvaluation]) -> Added:
        columns = [evaluation_columns(row) for row in page]
        new = connection.execute(self._insert_or_ignore(EVALUATIONS), columns).rowcount
        if new == len(page):
            return Added(new=new)
        ids = {row.id for row in page}
        found = connection.execute(select(EVALUATIONS).where(EVALUATIONS.c.id.in_(ids))).mappings()
        kept = {row["id"]: outcome_of(row) for row in found}
        conflicting = sum(conflict(kept[row.id], row.outcome) for row in page)
        return Added(new, len(page) - new - conflicting, conflicting)

    def _save_steps(self, connection: Connection, page: list[Step]) -> list[Step]:
        evaluations = [step.evaluation for step in page if step.evaluation is not None]
        known = bool(evaluations) and self._add(connection, evaluations).new < len(evaluations)
        columns = [step_columns(step) for step in page]
        new = connection.execute(self._insert_or_ignore(STEPS), columns).rowcount
        if new == len(page) and not known:
            return page
        for step in page:
            if new < len(page) and step.evaluation is not None:
                same = _place(step) & STEPS.c.evaluation.is_(None) & (STEPS.c.architecture == step.architecture)
                connection.execute(update(STEPS).where(same).values(step_columns(step)))
        return [_steps(connection, select(STEPS).where(_place(step)))[0] for step in page]

    def _insert_or_ignore(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        """Return an insert after which a row that another process put there first stays."""
        statement = postgresql.insert(table) if self._database.dialect == "postgresql" else sqlite.insert(table)
        return statement.on_conflict_do_nothing()


def _reopen(url: str, busy_seconds: float) -> SqlStore:
    from sqlalchemy import make_url

    return SqlStore(make_url(url), create=False, busy_seconds=busy_seconds)


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


def _steps(connection: Connection, statement: Select[Any]) -> list[Step]:
    rows = connection.execute(statement).mappings().all()
    ids = {row["evaluation"] for row in rows if row["evaluation"] is not None}
    found = connection.execute(select(EVALUATIONS).where(EVALUATIONS.c.id.in_(ids))).mappings() if ids else ()
    evaluations = {row["id"]: evaluation_of(row) for row in found}
    return [step_of(row, evaluations.get(row["evaluation"])) for row in rows]
