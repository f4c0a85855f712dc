from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from installed import EXAMPLE, install, run_nasgym


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the example package is installed."""
    return install(EXAMPLE, tmp_path_factory.mktemp("site"))


@pytest.fixture
def nasgym(site: Path, tmp_path: Path) -> Callable[..., str]:
    """Run the `nasgym` command with the example package installed; return what it printed."""
    return partial(run_nasgym, site, tmp_path)
