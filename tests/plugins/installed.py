"""Where the example package lies, installing a package for some tests only, and running Python with it."""

import os
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin"


def install(package: Path, folder: Path) -> Path:
    """Build `package` and install it into `folder`, by pip and without a network; return `folder`."""
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(folder), str(package)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return folder


def run_python(site: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with what is installed in `site`; return how it ended."""
    environment = os.environ | {
        "PYTHONPATH": str(site),
        "NASGYM_CACHE": str(cwd / "cache"),
        "COLUMNS": "100",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def run_nasgym(site: Path, cwd: Path, *arguments: str) -> str:
    """Run the `nasgym` command with what is installed in `site`; return what it printed."""
    ended = run_python(site, cwd, "-c", "from nasgym.cli.main import run; run()", *arguments)
    assert ended.returncode == 0, f"nasgym {' '.join(arguments)}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout
