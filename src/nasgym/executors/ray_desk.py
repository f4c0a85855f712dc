"""What runs on the nodes of a Ray cluster: calls, and data sets that reach the node."""

import os
import pickle
import shutil
import sys
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

from nasgym.data import ImageDataset
from nasgym.data.cache import is_intact
from nasgym.data.dataset import default_cache_dir
from nasgym.executors.parcels import Desk


class RayDesk:
    """What runs in an actor: a `Desk` that finds the data sets of its node.

    Args:
        path: where Python of the process that asks finds modules.
    """

    def __init__(self, path: list[str]) -> None:
        sys.path.extend(place for place in path if place not in sys.path)
        self._desk = Desk(load=load_here)

    def process(self) -> tuple[str, int]:
        """Return the id of the node, and of the process on it."""
        import ray

        return ray.get_runtime_context().get_node_id(), os.getpid()

    def has(self, folder: Path) -> bool:
        """Return whether a data set lies on this node, where it was decoded or where `receive` put it."""
        return _place(folder) is not None

    def receive(self, folder: Path, files: dict[str, bytes]) -> None:
        """Write a data set into the cache of this node."""
        install(folder.name, files)

    def make(self, call: bytes, names: list[str], dropped: tuple[str, ...], *contents: bytes) -> bytes:
        """Make a call; see `Desk.make`."""
        return self._desk.make(call, dict(zip(names, contents, strict=True)), dropped)


def load_here(content: bytes) -> object:
    """Unpickle a resident; data sets in it are those of this machine."""
    return _Unpickler(BytesIO(content)).load()


def install(name: str, files: dict[str, bytes]) -> None:
    """Write a decoded data set into the user's cache folder, complete or not at all.

    Args:
        name: of its folder, which tells its content.
        files: contents by name.
    """
    cache = default_cache_dir()
    cache.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix="writing-", dir=cache))
    try:
        for file, content in files.items():
            (draft / file).write_bytes(content)
        draft.rename(cache / name)
    except OSError:
        if not is_intact(cache / name):  # else another worker of this node was quicker
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == (ImageDataset.__module__, ImageDataset.__qualname__):
            return _dataset_here
        return super().find_class(module, name)


def _dataset_here(name: str, folder: Path) -> ImageDataset:
    return ImageDataset(name, _place(folder) or folder)


def _place(folder: Path) -> Path | None:
    """Return where a data set lies on this machine; `None` if nowhere."""
    places = (folder, default_cache_dir() / folder.name)
    return next((place for place in places if (place / "dataset.json").exists()), None)
