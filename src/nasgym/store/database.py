"""A database connection as a store needs it: transactions, forks, and errors that name the file and the remedy."""

import math
import os
import sqlite3
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from nasgym.core.errors import StoreError

BUSY_SECONDS = 30.0
"""How long a writer waits for another one that holds the database."""

RETRY_SECONDS = 0.02

FLUSH_SECONDS = 0.05
"""Commits that follow a flush within this time are left to the next flush, which covers them."""

_WRITES = "nasgym_writes"
_REFUSALS = (SQLAlchemyError, OverflowError, UnicodeEncodeError)
"""What a database and its driver raise, the last two for numbers and texts that no column holds."""

_REMEDIES = (
    ("SQLITE_BUSY", "another process has kept it locked for {seconds:g} s: stop it, or try again later"),
    ("SQLITE_LOCKED", "another process has kept it locked for {seconds:g} s: stop it, or try again later"),
    ("SQLITE_READONLY", "it cannot be written: allow writing to the file and its folder, or name another store"),
    ("SQLITE_PERM", "it cannot be written: allow writing to the file and its folder, or name another store"),
    ("SQLITE_FULL", "the disk is full: make room and go on, what was finished is kept"),
    ("SQLITE_CANTOPEN", "it cannot be opened: its folder must exist and be writable"),
    ("SQLITE_NOTADB", "it is not a database: name another file, or move this one away"),
    ("SQLITE_CORRUPT", "it is damaged: `sqlite3 FILE .recover` saves what can be saved"),
    ("SQLITE_IOERR", "the disk failed to read or write: check it and its free space, what was finished is kept"),
)


class Database:
    """Transactions on one database. Threads may share it; every process opens its own.

    SQLite keeps a write-ahead log: what is committed survives the death of the process at any moment. A power cut is
    survived by what is flushed: a commit flushes itself and all before it unless this process flushed less than
    `FLUSH_SECONDS` ago, so only the end of a burst can be lost, and nothing is damaged. Before a fork idle connections
    are closed, since SQLite forbids that a child inherits one.

    Args:
        url: of the database.
        busy_seconds: how long to wait for a locked SQLite file.
    """

    def __init__(self, url: URL, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self.name = url.database or "" if url.get_backend_name() == "sqlite" else url.render_as_string()
        self._busy_seconds = busy_seconds
        self._flushed_at = -math.inf
        self._engine = self._create(url)
        if hasattr(os, "register_at_fork"):
            reference = weakref.ref(self)
            os.register_at_fork(before=lambda: _close(reference))

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection whose statements see one state of the database.

        Raises:
            StoreError: whatever the database objects to.
        """
        try:
            with self._engine.connect() as connection:
                yield connection
        except _REFUSALS as error:
            raise self._explained(error) from error

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection in a transaction that holds the write lock from its start and commits at the end.

        Raises:
            StoreError: whatever the database objects to; nothing was written.
        """
        now = time.monotonic()
        flush = now - self._flushed_at >= FLUSH_SECONDS
        options = {_WRITES: "FULL" if flush else "NORMAL"}
        try:
            with self._engine.connect().execution_options(**options) as connection, connection.begin():
                yield connection
            if flush:
                self._flushed_at = now
        except _REFUSALS as error:
            raise self._explained(error) from error

    def use_write_ahead_log(self) -> None:
        """Make a SQLite file keep a write-ahead log, so that readers and the writer do not wait for each other.

        SQLite itself does not wait where another process is just switching, too.

        Raises:
            StoreError: the file cannot be written, or others have kept it locked for too long.
        """
        deadline = time.monotonic() + self._busy_seconds
        while True:
            try:
                with self._engine.connect() as connection:
                    connection.connection.cursor().execute("PRAGMA journal_mode=WAL")
                return
            except (SQLAlchemyError, sqlite3.Error) as error:
                busy = getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY")
                if not busy or time.monotonic() > deadline:
                    raise self._explained(error) from error
            time.sleep(RETRY_SECONDS)

    def close(self) -> None:
        """Close idle connections."""
        self._engine.dispose()

    def _create(self, url: URL) -> Engine:
        sqlite = url.get_backend_name() == "sqlite"
        try:
            engine = create_engine(
                url, connect_args={"timeout": self._busy_seconds, "check_same_thread": False} if sqlite else {}
            )
        except NoSuchModuleError as error:
            raise StoreError(f"No database driver for {url.drivername!r}: {error}.") from error
        except ModuleNotFoundError as error:
            raise StoreError(
                f"The driver of {url.drivername!r} is not installed ({error}); "
                "for PostgreSQL: pip install 'nasgym[postgres]' and write postgresql+psycopg://…"
            ) from error
        if sqlite:
            event.listen(engine, "connect", _prepare)
            event.listen(engine, "begin", _begin)
        return engine

    def _explained(self, error: Exception) -> StoreError:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(error, IntegrityError) and "FOREIGN KEY" in str(cause).upper():
            return StoreError(f"Store {self.name}: the row belongs to a run that is not in it; start the run first.")
        if isinstance(error, OverflowError | UnicodeEncodeError):
            return StoreError(f"Store {self.name}: a value cannot be kept ({cause}).")
        code = getattr(cause, "sqlite_errorname", None) or ""
        for prefix, remedy in _REMEDIES:
            if code.startswith(prefix):
                return StoreError(f"Store {self.name}: {remedy.format(seconds=self._busy_seconds)} ({cause}).")
        return StoreError(f"Store {self.name}: {cause}")


def _close(reference: "weakref.ref[Database]") -> None:
    database = reference()
    if database is not None:
        database.close()


def _prepare(connection: sqlite3.Connection, record: Any) -> None:
    """Leave transactions to `_begin`, and set what SQLite forgets between connections."""
    del record
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys=ON")


def _begin(connection: Connection) -> None:
    """Take the write lock first, where there is going to be writing: then waiting for it cannot fail half-way."""
    synchronous = connection.get_execution_options().get(_WRITES)
    if synchronous is not None:
        connection.exec_driver_sql(f"PRAGMA synchronous={synchronous}")
    connection.exec_driver_sql("BEGIN" if synchronous is None else "BEGIN IMMEDIATE")
