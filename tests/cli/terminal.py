"""The console script as a person types it: in a process of its own, or in this one where that says the same."""

import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from nasgym.cli.main import run

PROGRAM = Path(sys.executable).with_name("nasgym")


@dataclass(frozen=True)
class Said:
    """What a command ended with."""

    code: int
    out: str
    err: str


class Shell:
    """Types commands in a folder, with caches and settings of its own."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self._environment = os.environ | {"NASGYM_CACHE": str(cache), "OMP_NUM_THREADS": "1", "COLUMNS": "120"}
        self._environment.pop("NASGYM_STORE", None)

    def start(self, *words: object) -> subprocess.Popen[str]:
        """Start a command in a session of its own."""
        return subprocess.Popen(
            [PROGRAM, *map(str, words)],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: object) -> Said:
        """Run a command to its end."""
        process = self.start(*words)
        out, err = process.communicate(timeout=240)
        return Said(process.returncode, out, err)


class Prompt:
    """Types commands into this process: quicker, since libraries are loaded already."""

    def __init__(self, folder: Path, cache: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]):
        self.folder = folder
        self._patch = patch
        self._capture = capture
        patch.chdir(folder)
        patch.setenv("NASGYM_CACHE", str(cache))
        patch.setenv("COLUMNS", "120")
        patch.delenv("NASGYM_STORE", raising=False)

    def run(self, *words: object) -> Said:
        """Run a command; it takes back what it does to the process."""
        self._patch.setattr(sys, "argv", ["nasgym", *map(str, words)])
        logger, on_terminate = logging.getLogger("nasgym"), signal.getsignal(signal.SIGTERM)
        handlers, level = list(logger.handlers), logger.level
        self._capture.readouterr()
        try:
            run()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            signal.signal(signal.SIGTERM, on_terminate)
            logger.handlers[:], logger.level = handlers, level
        return Said(code, *self._capture.readouterr())


def wait_for(words: str, log: Path, process: subprocess.Popen[str]) -> None:
    """Wait until a log holds some words."""
    deadline = time.monotonic() + 120
    while not (log.exists() and words in log.read_text()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, log.read_text() if log.exists() else "no log"
        time.sleep(0.01)


def survivors(session: int) -> list[int]:
    """Return the processes of a session that are still there a while after its first one has ended."""
    deadline = time.monotonic() + 20
    while (left := _in_session(session)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def _in_session(session: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, belongs_to = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(belongs_to) == session and state != "Z":
            found.append(int(stat.parent.name))
    return found
