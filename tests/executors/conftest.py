"""One Ray for all tests: it takes seconds to start."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from functools import partial

import pytest

from nasgym.executors import InProcessExecutor, local_executor
from nasgym.executors.ray_cluster import ray_executor

MakeExecutor = Callable[[], Executor]


@pytest.fixture(scope="session")
def ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], Executor]]:
    """Make executors on a Ray of this machine, whose nodes keep data sets in a folder of their own."""
    kept = {name: os.environ.get(name) for name in ("XDG_CACHE_HOME",)}
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("node"))
    session = ray_executor(2)
    for name, value in kept.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
    yield ray_executor
    session.kill()


def executors(*names: str) -> pytest.MarkDecorator:
    """Run a test with each of these executors."""
    return pytest.mark.parametrize("make", names, indirect=True)


@pytest.fixture
def make(request: pytest.FixtureRequest) -> MakeExecutor:
    """Make the executor that the test is run with."""
    match request.param:
        case "in-process":
            return InProcessExecutor
        case "pool":
            return partial(local_executor, 2)
        case _:
            return partial(request.getfixturevalue("ray"), 1 if request.param == "small ray" else 2)
