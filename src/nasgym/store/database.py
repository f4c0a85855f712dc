"""A database connection as a store needs it: transactions, forks, and errors that name the file and the remedy."""

import logging
import math
import os
import sqlite3
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, RowMapping, Select, create_engine, event
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

from nasgym.core.errors import StoreError
from nasgym.store.refusals import REFUSALS, explained, is_lost, is_passing

BUSY_SECONDS = 30.0
"""How long a writer waits for another one that holds the database."""

PATIENCE_SECONDS = 60.0
"""How long a lost connection to a server is tried to be made again, before work that is finished is given up."""

RETRY_SECONDS = 0.02
LONGEST_PAUSE = 5.0

FLUSH_SECONDS = 0.05
"""Commits that follow a flush within this time are left to the next flush, which covers them."""

_WRITES = "nasgym_writes"
_LOST = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}
"""By which a server that cannot be reached any more is noticed: seconds, seconds, tries; milliseconds."""

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Database:
    """Transactions on one database. Threads may share it; every process opens its own.

    SQLite keeps a write-ahead log: what is committed survives the death of the process at any moment. A power cut is
    survived by what is flushed: a commit flushes itself and all before it unless this process flushed less than
    `FLUSH_SECONDS` ago, so only the end of a burst can be lost, and nothing is damaged. Before a fork idle connections
    are closed, since SQLite forbids that a child inherits one.

    A lost connection to a server is made again, and what was being done is done again, for `patience` seconds. A
    server that was never reached is an error at once.

    Args:
        url: of the database.
        busy_seconds: how long to wait for a locked SQLite file.
        patience: how long a lost connection is tried to be made again.
    """

    def __init__(self, url: URL, *, busy_seconds: float = BUSY_SECONDS, patience: float = PATIENCE_SECONDS) -> None:
        self.name = _name(url)
        self._busy_seconds = busy_seconds
        self._patience = patience
        self._reached = False
        self._flushed_at = -math.inf
        self._engine = self._create(url)
        self._alone: dict[str, Any] = {} if self.dialect == "sqlite" else {"isolation_level": "AUTOCOMMIT"}
        if hasattr(os, "register_at_fork"):
            reference = weakref.ref(self)
            os.register_at_fork(before=lambda: _close(reference))

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    def read(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` reads on a connection whose statements see what is committed.

        Raises:
            StoreError: whatever the database objects to.
        """

        def reading() -> T:
            with self._engine.connect().execution_options(**self._alone) as connection:
                return work(connection)

        return self._persist(reading, "nothing was to be written")

    def rows(self, statement: Select[Any]) -> Sequence[RowMapping]:
        """Return the rows that `statement` selects.

        Raises:
            StoreError: whatever the database objects to.
        """
        return self.read(lambda connection: connection.execute(statement).mappings().all())

    def write(self, work: Callable[[Connection], T], what: str, *, one_statement: bool = False) -> T:
        """Return what `work` returns, in a transaction that holds the write lock of SQLite from its start.

        Args:
            work: writes; may be called again, after what it did was undone.
            what: is written, in words; for the error, if it cannot be.
            one_statement: whether `work` writes with a single statement. To a server that is a transaction of its
                own, which saves two trips.

        Raises:
            StoreError: whatever the database objects to; nothing was written.
        """

        def writing() -> T:
            if one_statement and self.dialect != "sqlite":
                with self._engine.connect().execution_options(**self._alone) as connection:
                    return work(connection)
            now = time.monotonic()
            flush = now - self._flushed_at >= FLUSH_SECONDS
            options = {_WRITES: "FULL" if flush else "NORMAL"}
            with self._engine.connect().execution_options(**options) as connection, connection.begin():
                result = work(connection)
            if flush:
                self._flushed_at = now
            return result

        return self._persist(writing, f"not written: {what}")

    def _persist(self, attempt: Callable[[], T], loss: str) -> T:
        """Return what `attempt` returns, which is repeated while the connection is lost."""
        deadline = None
        pause = RETRY_SECONDS
        while True:
            try:
                result = attempt()
            except REFUSALS as error:
                lost = is_lost(error)
                if not is_passing(error) and not (lost and self._reached):
                    raise explained(error, self.name, self._busy_seconds) from error
                if deadline is None:
                    deadline = time.monotonic() + self._patience
                    _log.warning("Store %s: %s; trying again.", self.name, " ".join(str(error.args[0]).split()))
                if time.monotonic() >= deadline:
                    raise StoreError(
                        f"Store {self.name}: the connection was lost and did not come back within "
                        f"{self._patience:g} s; {loss}. All that was written before is kept: start again when the "
                        f"server can be reached. ({' '.join(str(error.args[0]).split())})"
                    ) from error
            else:
                self._reached = True
                return result
            time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
            pause = min(2 * pause, LONGEST_PAUSE)

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
                    raise explained(error, self.name, self._busy_seconds) from error
            time.sleep(RETRY_SECONDS)

    def close(self) -> None:
        """Close idle connections."""
        self._engine.dispose()

    def _create(self, url: URL) -> Engine:
        sqlite = url.get_backend_name() == "sqlite"
        settings = {"timeout": self._busy_seconds, "check_same_thread": False} if sqlite else _server_settings(url)
        try:
            engine = create_engine(url, connect_args=settings)
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


def _name(url: URL) -> str:
    """Return what people call a database: the file, or the URL without its password."""
    if url.get_backend_name() == "sqlite":
        return url.database or ""
    return url.difference_update_query(["password"]).render_as_string()


def _server_settings(url: URL) -> dict[str, Any]:
    """Return how a connection to a server notices its loss, but for what the URL says itself."""
    if url.get_driver_name() != "psycopg":
        return {}
    settings = _LOST | {"connect_timeout": 10}
    return {name: value for name, value in settings.items() if name not in url.query}


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
