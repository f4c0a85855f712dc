"""Where a result comes from: versions, hardware and git commit, kept with every run and benchmark."""

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("nasgym", "numpy", "torch", "gymnasium", "Pillow", "scikit-learn", "SQLAlchemy", "alembic")


@dataclass(frozen=True)
class Provenance:
    """What produced a result, besides its configuration.

    Attributes:
        versions: of Python and of the packages that may decide a number.
        hardware: processor, usable cores, memory in bytes, operating system.
        git_commit: of the source checkout; `None` for an installed package.
    """

    versions: dict[str, str]
    hardware: dict[str, str | int]
    git_commit: str | None


def provenance() -> Provenance:
    """Return what this process runs on. Imports none of the packages it names."""
    return Provenance(_versions(), _hardware(), _git_commit(Path(__file__)))


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _hardware() -> dict[str, str | int]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found: dict[str, str | int] = {"processor": _processor(), "cores": cores, "system": platform.platform()}
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        found["memory"] = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _git_commit(source: Path) -> str | None:
    """Return the commit of the checkout that tracks `source`, with `+` where files in it were edited since."""
    try:
        tracked = _git(source.parent, "ls-files", source.name)
        if not tracked:
            return None
        edited = _git(source.parent, "status", "--porcelain", "--untracked-files=no")
        return _git(source.parent, "rev-parse", "HEAD") + ("+" if edited else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
