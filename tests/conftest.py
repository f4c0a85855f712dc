"""Fixtures for all tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nasgym.testing.postgres import Server, temporary_server


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data sets and published tables; tests that need it are skipped where it is missing."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("NASGYM_SHARED_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}; set NASGYM_SHARED_DATA")
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server of the tests' own."""
    with temporary_server() as server:
        yield server
