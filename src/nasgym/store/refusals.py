"""What databases object to, as errors that name the store and the remedy."""

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError, SQLAlchemyError

from nasgym.core.errors import StoreError

REFUSALS = (SQLAlchemyError, OverflowError, UnicodeEncodeError)
"""What a database and its driver raise, the last two for numbers and texts that no column holds."""

_SQLITE_REMEDIES = (
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

_SERVER_REMEDIES = (
    ("25006", "it cannot be written: the server is read-only, perhaps a replica; name the primary one"),
    ("28", "the server does not let you in: check user and password"),
    ("3D000", "there is no such database: make it with createdb, or name another one"),
    ("42501", "the user may not do this: grant it to them, or name another user"),
    ("53100", "the disk of the server is full: make room and go on, what was finished is kept"),
    ("53200", "the server is out of memory: make room and go on, what was finished is kept"),
    ("53300", "the server has no connection left: stop workers, or raise its max_connections"),
)
"""By the beginning of the SQLSTATE, https://www.postgresql.org/docs/current/errcodes-appendix.html."""

_LOST = ("08", "57P01", "57P02", "57P03")
"""The connection failed; the server was shut down, crashed, or is starting."""
_TRY_AGAIN = ("40001", "40P01")
"""Two transactions got into each other's way, and this one was undone."""


def explained(error: Exception, name: str, busy_seconds: float) -> StoreError:
    """Return what is wrong with the store called `name`, and what to do."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    said = " ".join(str(cause).split())
    if isinstance(error, IntegrityError) and "FOREIGN KEY" in said.upper():
        return StoreError(f"Store {name}: the row belongs to a run that is not in it; start the run first.")
    if isinstance(error, DataError | OverflowError | UnicodeEncodeError):
        return StoreError(f"Store {name}: a value cannot be kept ({said}).")
    code = getattr(cause, "sqlite_errorname", None) or ""
    for prefix, remedy in _SQLITE_REMEDIES:
        if code.startswith(prefix):
            return StoreError(f"Store {name}: {remedy.format(seconds=busy_seconds)} ({said}).")
    for prefix, remedy in _SERVER_REMEDIES:
        if _sqlstate(error).startswith(prefix):
            return StoreError(f"Store {name}: {remedy} ({said}).")
    if is_lost(error):
        return StoreError(
            f"Store {name} cannot be reached ({said}): check host, port, user, password, and that the database exists."
        )
    return StoreError(f"Store {name}: {said}")


def is_lost(error: Exception) -> bool:
    """Return whether `error` says that the connection to a server is gone, or could not be made."""
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated or _sqlstate(error).startswith(_LOST):
        return True
    return isinstance(error, OperationalError) and hasattr(error.orig, "sqlstate") and not _sqlstate(error)


def is_passing(error: Exception) -> bool:
    """Return whether the same transaction, tried again, may succeed: two got into each other's way."""
    return _sqlstate(error).startswith(_TRY_AGAIN)


def _sqlstate(error: Exception) -> str:
    """Return the five letters in which PostgreSQL says what is wrong; empty where it did not say."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) or ""
