from collections.abc import Iterator
from pathlib import Path

import pytest

from nasgym.store import Store, open_store


@pytest.fixture
def store_file(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


@pytest.fixture
def store(store_file: Path) -> Iterator[Store]:
    with open_store(store_file) as opened:
        yield opened
