from collections.abc import Iterator
from pathlib import Path

import pytest

from nasgym.store import Store, open_store
from nasgym.testing.postgres import Server


@pytest.fixture
def store_file(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


@pytest.fixture
def store(store_file: Path) -> Iterator[Store]:
    with open_store(store_file) as opened:
        yield opened


@pytest.fixture(params=["sqlite", "postgresql"])
def location(request: pytest.FixtureRequest, store_file: Path) -> str:
    """File or URL of a store that is not there yet."""
    if request.param == "sqlite":
        return str(store_file)
    server: Server = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def any_store(location: str) -> Iterator[Store]:
    """A new store: once in SQLite, once in PostgreSQL."""
    with open_store(location) as opened:
        yield opened
