"""What agents do, in an SQL database."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, Table, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from nasgym.store.database import Database
from nasgym.store.schema import META_EPISODES, TRAINING_UPDATES
from nasgym.store.training import PlayedMetaEpisode, Trace, TrainingLog, TrainingUpdate

PAGE = 500
"""Rows read or written at a time."""

Row = TypeVar("Row", TrainingUpdate, PlayedMetaEpisode)
_JSON = {
    TrainingUpdate: ("rewards", "actions", "metrics", "trace"),
    PlayedMetaEpisode: ("rewards", "accuracies", "lengths", "architectures", "actions", "step_rewards"),
}


class SqlTrainingLog(TrainingLog):
    """What agents do, in an SQL database; made by `Store.training_log`.

    Args:
        database: of the store.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def save_updates(self, updates: Iterable[TrainingUpdate]) -> None:
        """Keep `updates` unless their numbers are known."""
        self._save(TRAINING_UPDATES, updates)

    def updates(self, run: str) -> Iterator[TrainingUpdate]:
        """Yield the updates of run `run` by number."""
        table = TRAINING_UPDATES
        chosen = select(table).where(table.c.run == run)
        return self._read(chosen, (table.c.number,), lambda columns: _row_of(TrainingUpdate, columns))

    def save_meta_episodes(self, played: Iterable[PlayedMetaEpisode]) -> None:
        """Keep meta-episodes unless their numbers are known."""
        self._save(META_EPISODES, played)

    def meta_episodes(self, run: str, *, phase: str | None = None) -> Iterator[PlayedMetaEpisode]:
        """Yield the meta-episodes of run `run`, of one phase if given, by phase, update and number."""
        table = META_EPISODES
        chosen = select(table).where(table.c.run == run)
        if phase is not None:
            chosen = chosen.where(table.c.phase == phase)
        order = (table.c.phase, table.c.after_update, table.c.number)
        return self._read(chosen, order, lambda columns: _row_of(PlayedMetaEpisode, columns))

    def _save(self, table: Table, rows: Iterable[TrainingUpdate] | Iterable[PlayedMetaEpisode]) -> None:
        columns = [_columns(row) for row in rows]
        insert = postgresql.insert(table) if self._database.dialect == "postgresql" else sqlite.insert(table)
        statement = insert.on_conflict_do_nothing()
        for start in range(0, len(columns), PAGE):
            page = columns[start : start + PAGE]
            what = f"{len(page)} rows of {table.name} of run {page[0]['run']}"
            self._database.write(partial(Connection.execute, statement=statement, parameters=page), what)

    def _read(
        self, chosen: Any, order: tuple[Column[Any], ...], row_of: Callable[[Mapping[Any, Any]], Row]
    ) -> Iterator[Row]:
        """Yield rows in this order, a page at a time, so that no transaction stays open in between."""
        last: tuple[Any, ...] | None = None
        while True:
            statement = chosen.order_by(*order).limit(PAGE)
            if last is not None:
                statement = statement.where(tuple_(*order) > last)
            page = self._database.rows(statement)
            for columns in page:
                yield row_of(columns)
            if len(page) < PAGE:
                return
            last = tuple(page[-1][column.name] for column in order)


def _columns(row: TrainingUpdate | PlayedMetaEpisode) -> dict[str, Any]:
    values = {field.name: getattr(row, field.name) for field in fields(row)}
    return {name: _text(value) if name in _JSON[type(row)] else value for name, value in values.items()}


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return json.dumps(asdict(value) if isinstance(value, Trace) else value, separators=(",", ":"))


def _row_of(kind: type[Row], columns: Mapping[Any, Any]) -> Row:
    values = {field.name: columns[field.name] for field in fields(kind)}
    for name in _JSON[kind]:
        values[name] = None if values[name] is None else _frozen(json.loads(values[name]))
    if values.get("trace") is not None:
        values["trace"] = Trace(**values["trace"])
    return kind(**values)


def _frozen(value: Any) -> Any:
    """Return JSON values with tuples in place of lists, at all depths."""
    if isinstance(value, dict):
        return {name: _frozen(one) for name, one in value.items()}
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
