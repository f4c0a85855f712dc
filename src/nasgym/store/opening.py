"""Opens a store by file name or URL. SQLAlchemy is imported when a store is opened, not before."""

from pathlib import Path

from nasgym.core import plugins
from nasgym.core.errors import PluginError, StoreError
from nasgym.store.base import Store

DEFAULT_STORE = "runs/store.sqlite"
"""Where evaluations are kept unless said otherwise, relative to the working directory."""

_SQL_SCHEMES = ("sqlite", "postgresql")


def open_store(location: str | Path, *, create: bool = True) -> Store:
    """Open the store at `location`.

    Args:
        location: a file (SQLite), a URL such as `sqlite:///runs/store.sqlite` or `postgresql+psycopg://user@host/name`,
            or a URL whose scheme a plug-in registers under `nasgym.stores`.
        create: whether to make a new store, and its folder, where there is nothing yet.

    Raises:
        StoreError: it cannot be opened, is not a store, or was written by a newer version.
    """
    text = str(location)
    scheme = text.partition("://")[0] if "://" in text else ""
    kind = scheme.partition("+")[0]
    if scheme and kind not in _SQL_SCHEMES:
        return _from_plugin(scheme, text)
    from sqlalchemy import URL, make_url
    from sqlalchemy.exc import ArgumentError

    from nasgym.store.sql import SqlStore

    try:
        url = make_url(text) if scheme else URL.create("sqlite", database=text)
    except (ArgumentError, ValueError) as error:
        raise StoreError(f"{text!r} is neither a file name nor a database URL: {error}") from error
    if kind != "postgresql":
        url = url.set(database=str(_file(url.database, create=create)))
    return SqlStore(url, create=create)


def _file(name: str | None, *, create: bool) -> Path:
    """Return the path of a SQLite store, whose folder exists."""
    if not name or name == ":memory:":
        raise StoreError(f"A store in memory would be lost with the process; name a file, such as {DEFAULT_STORE}.")
    path = Path(name).expanduser().absolute()
    if path.is_dir():
        raise StoreError(f"{path} is a folder; a store is a file in it, such as {path / 'store.sqlite'}.")
    if not path.exists() and not create:
        raise StoreError(f"No store at {path}; `nasgym search` makes one, --store names another.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"The folder of store {path} cannot be made: {error.strerror}; name another one.") from error
    return path


def _from_plugin(scheme: str, location: str) -> Store:
    known = plugins.available("nasgym.stores")
    if scheme not in known:
        kinds = ", ".join([*_SQL_SCHEMES, *known])
        raise StoreError(f"No store for URLs that start with {scheme}:// (known: {kinds}); install its plug-in.")
    store = plugins.load("nasgym.stores", scheme)(location)
    if not isinstance(store, Store):
        raise PluginError(
            f"Plug-in {scheme!r} of 'nasgym.stores' made a {type(store).__name__}, not a nasgym.store.Store."
        )
    return store
