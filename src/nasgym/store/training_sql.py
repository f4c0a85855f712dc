"""What agents do, in an SQL database."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, Table, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from nasgym.store.database import Database
from nasgym.store.schema import META_EPISODES, TRAINING_UPDATES
from nasgym.store.training import PlayedMetaEpisode, TrainingLog, TrainingUpdate

PAGE = 500
"""Rows read or written at a time."""

Row = TypeVar("Row", TrainingUpdate, PlayedMetaEpisode)
_LISTS = {
    TrainingUpdate: ("rewards", "actions"),
    PlayedMetaEpisode: ("rewards", "accuracies", "lengths", "architectures"),
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
    encoded = {*_LISTS[type(row)], "metrics"}
    values = {field.name: getattr(row, field.name) for field in fields(row)}
    return {name: json.dumps(value) if name in encoded else value for name, value in values.items()}


def _row_of(kind: type[Row], columns: Mapping[Any, Any]) -> Row:
    values = {field.name: columns[field.name] for field in fields(kind)}
    values |= {name: tuple(json.loads(values[name])) for name in _LISTS[kind]}
    if "metrics" in values:
        values["metrics"] = json.loads(values["metrics"])
    return kind(**values)
