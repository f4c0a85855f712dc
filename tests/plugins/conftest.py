"""The example package, installed where only these tests see it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example package in it, built and installed by pip without a network."""
    folder = tmp_path_factory.mktemp("site")
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(folder), str(EXAMPLE)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return folder


@pytest.fixture
def run(site: Path, tmp_path: Path) -> Run:
    """Run Python with these arguments, the example package being installed; return how it ended."""

    def run(*arguments: str, cwd: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "PYTHONPATH": str(site),
            "NASGYM_CACHE": str(tmp_path / "cache"),
            "COLUMNS": "100",
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def nasgym(run: Run) -> Callable[..., str]:
    """Run the `nasgym` command; return what it printed."""

    def command(*arguments: str) -> str:
        ended = run("-c", "from nasgym.cli.main import run; run()", *arguments)
        assert ended.returncode == 0, f"nasgym {' '.join(arguments)}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    return command
