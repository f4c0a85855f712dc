"""An image data set: decoded once, mapped into memory by every process that opens it."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

from nasgym.core.errors import DataError
from nasgym.data import cache
from nasgym.data.decoding import Staging, arrange, decode_all
from nasgym.data.disk import writing_to
from nasgym.data.files import FileSource
from nasgym.data.labelling import LabelsFile
from nasgym.data.records import Dropped, Source
from nasgym.data.sources import open_source

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImageDataset:
    """Images with their classes, in an order that depends on their content alone: by class, then by content hash.

    It pickles as name and folder, so that a worker process maps the same memory.

    Attributes:
        name: what people call it.
        folder: where the decoded images lie.
    """

    name: str
    folder: Path

    @cached_property
    def images(self) -> NDArray[np.uint8]:
        """Pixels `(n, size, size, channels)` uint8, a read-only memory map; 1 channel if all are grey, else 3."""
        try:
            images: NDArray[np.uint8] = np.load(self.folder / "images.npy", mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise self._gone(error) from error
        return images

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """Class of each image, `(n,)` int64."""
        return self._index["labels"]

    @cached_property
    def digests(self) -> NDArray[np.uint8]:
        """Hash of each image before decoding, `(n, 16)` uint8."""
        return self._index["digests"]

    @cached_property
    def paths(self) -> NDArray[np.str_]:
        """Where each image lay within its source, `(n,)`."""
        return self._index["paths"]

    @cached_property
    def originals(self) -> NDArray[np.int32]:
        """Height and width of each image before resizing, `(n, 2)`."""
        return self._index["originals"]

    @cached_property
    def groups(self) -> NDArray[np.str_] | None:
        """Group of each image `(n,)`, "" for none; `None` where the source has no groups."""
        groups: NDArray[np.str_] = self._index["groups"]
        return groups if (groups != "").any() else None

    @cached_property
    def official_split(self) -> NDArray[np.int8] | None:
        """Side of each image `(n,)`: 0 train, 1 validation, 2 test; `None` where the source has no split."""
        parts: NDArray[np.int8] = self._index["parts"]
        return parts if (parts >= 0).all() else None

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names by label, sorted; "2" before "10"."""
        return self._description.class_names

    @property
    def fingerprint(self) -> str:
        """Hash of the images, their classes, size and channels: the same wherever the files lie, in any order."""
        return self._description.fingerprint

    @property
    def problems(self) -> tuple[Dropped, ...]:
        """What was left out of the source, and why."""
        return tuple(Dropped(*problem) for problem in self._description.problems)

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of one image."""
        _, height, width, channels = self.images.shape
        return height, width, channels

    def __len__(self) -> int:
        return len(self.labels)

    def __reduce__(self) -> tuple[Any, ...]:
        return ImageDataset, (self.name, self.folder)

    @cached_property
    def _description(self) -> cache.Description:
        try:
            return cache.read_description(self.folder)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise self._gone(error) from error

    @cached_property
    def _index(self) -> dict[str, NDArray[Any]]:
        try:
            with np.load(self.folder / "index.npz", allow_pickle=False) as arrays:
                index = {key: arrays[key] for key in arrays.files}
        except (OSError, ValueError) as error:
            raise self._gone(error) from error
        for array in index.values():
            array.setflags(write=False)
        return index

    def _gone(self, why: object) -> DataError:
        return DataError(
            f"Decoded images of {self.name!r} in {self.folder} cannot be read ({why}). Load the data set again."
        )


def default_cache_dir() -> Path:
    """Return the user's cache folder for nasgym, as the operating system has it."""
    return Path(platformdirs.user_cache_dir("nasgym"))


def load_dataset(
    source: str | Path | Source,
    *,
    size: int = 32,
    labels: str | Path | None = None,
    strict: bool = False,
    cache_dir: str | Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> ImageDataset:
    """Return a data set, decoding it only if nobody has decoded the same content at the same size before.

    Args:
        source: a path, a name such as "digits" or "hf:mnist", or a `Source`.
        size: side of the square images, pixels.
        labels: CSV file with the columns file, label, and optionally split and group.
        strict: whether anything left out is an error.
        cache_dir: where decoded images are kept; the user's cache folder by default.
        progress: called with the number of images decoded so far.

    Raises:
        DataError: nothing there, unreadable, unsafe, fewer than two classes, or (strict) anything was left out.
    """
    if not 1 <= size <= 1024:
        raise DataError(f"Image size {size} is out of range; give 1 to 1024 pixels, such as 32 or 84.")
    opened = open_source(source) if isinstance(source, str | Path) else source
    labels_file = None if labels is None else LabelsFile(Path(labels).expanduser())
    folder = Path(cache_dir).expanduser() if cache_dir is not None else default_cache_dir()
    content = (
        cache.remembered(folder, opened.signature(), opened.fingerprint)
        if isinstance(opened, FileSource)
        else opened.fingerprint()
    )
    place = folder / cache.cache_key(content, size, labels_file.content if labels_file else b"")
    if cache.is_intact(place):
        _log.info("%s: decoded before, in %s.", opened.name, place)
    else:
        _log.info("%s: decoding to %d pixels, into %s.", opened.name, size, place)
        _decode(opened, place, size, labels_file, progress or (lambda _: None))
    dataset = ImageDataset(opened.name, place)
    serious = [problem for problem in dataset.problems if not problem.harmless]
    if strict and serious:
        raise refuse(dataset.name, serious)
    return dataset


def _decode(source: Source, place: Path, size: int, labels: LabelsFile | None, progress: Callable[[int], None]) -> None:
    with writing_to(place.parent):
        place.parent.mkdir(parents=True, exist_ok=True)
        staging = Staging(place.parent, size)
    try:
        entries, dropped = decode_all(source.records(), staging, size, progress)
        cache.write(place, arrange(entries, dropped, labels, source.name), staging, size)
    finally:
        staging.close()


def refuse(name: str, problems: Sequence[Dropped]) -> DataError:
    """Return the error of `strict` for these problems."""
    lines = "".join(f"\n  {problem}" for problem in problems[:10])
    more = f"\n  … and {len(problems) - 10} more" if len(problems) > 10 else ""
    return DataError(
        f"{name}: {len(problems)} files or classes cannot be used, and `strict` allows none:{lines}{more}\n"
        "Repair or remove them, or load without `strict`."
    )
