"""Images, a finished search on them, and places to type commands."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from terminal import Prompt, Said, Shell

from nasgym.core.randomness import stream

QUICK = ("--evaluations", 5, "--epochs", 2, "--final-epochs", 2, "--finalists", 2, "--size", 16)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Decoded images, shared by all commands."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of three classes of 20 small colour images: stripes that lie, stripes that stand, and chequers."""
    folder = tmp_path_factory.mktemp("images") / "photos"
    generator = stream(0, "photos")
    rows, columns = np.indices((20, 24)) // 3 % 2
    for name, pattern in (("lying", rows), ("standing", columns), ("chequered", rows ^ columns)):
        (folder / name).mkdir(parents=True)
        for number in range(20):
            noise = generator.integers(0, 60, (20, 24, 3))
            Image.fromarray((160 * pattern[..., None] + noise).astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture
def prompt(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Prompt:
    """Type commands into this process, in an empty folder."""
    return Prompt(tmp_path, cache, monkeypatch, capsys)


@pytest.fixture
def shell(tmp_path: Path, cache: Path) -> Shell:
    """Type commands that run in processes of their own, in an empty folder."""
    return Shell(tmp_path, cache)


@dataclass(frozen=True)
class FinishedSearch:
    """A search that was typed, its folder and what it said."""

    folder: Path
    said: Said

    @property
    def out(self) -> Path:
        """Folder of the results."""
        return self.folder / "runs" / "photos"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, cache: Path, photos: Path) -> FinishedSearch:
    """A search with two workers, from the console script."""
    folder = tmp_path_factory.mktemp("work")
    said = Shell(folder, cache).run("search", photos, *QUICK, "--workers", 2, "--json", "--log-file", "search.log")
    assert said.code == 0, said.err
    return FinishedSearch(folder, said)
