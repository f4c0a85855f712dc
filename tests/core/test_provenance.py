"""What a result says of where it comes from."""

import platform
import subprocess
import sys
from pathlib import Path

from nasgym.core.provenance import provenance


def test_versions_name_python_and_every_package_that_may_decide_a_number() -> None:
    versions = provenance().versions
    assert versions["python"] == platform.python_version()
    assert set(versions) >= {"nasgym", "numpy", "torch", "SQLAlchemy"}


def test_hardware_names_processor_cores_and_memory() -> None:
    hardware = provenance().hardware
    assert hardware["processor"]
    assert int(hardware["cores"]) >= 1
    assert int(hardware["memory"]) > 2**28


def test_nothing_it_names_is_imported() -> None:
    code = (
        "import sys; from nasgym.core.provenance import provenance; provenance();"
        "print([name for name in ('torch', 'sqlalchemy', 'gymnasium') if name in sys.modules])"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert finished.stdout.strip() == "[]"


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def commit_of(source: Path) -> str | None:
    from nasgym.core.provenance import _git_commit

    return _git_commit(source)


def test_the_commit_is_that_of_the_checkout_that_tracks_the_source(tmp_path: Path) -> None:
    source, installed = tmp_path / "module.py", tmp_path / "site" / "module.py"
    source.write_text("a = 1\n")
    assert commit_of(source) is None
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "module.py")
    git(tmp_path, "commit", "-q", "-m", "first")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert commit_of(source) == head
    source.write_text("a = 2\n")
    assert commit_of(source) == f"{head}+"
    installed.parent.mkdir()
    installed.write_text("a = 1\n")
    assert commit_of(installed) is None
