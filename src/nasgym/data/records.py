"""What a source of images hands over: one record an image, in any order, before anything is decoded."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Part(StrEnum):
    """A side of a split."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Record:
    """One image that has not been decoded.

    Attributes:
        path: where it lies within its source, "/" between folders; unique within the source.
        image: bytes of an image file, or pixels `(height, width, channels)` uint8 with 1, 3 or 4 channels.
        label: its class; `None` where the folders of `path` (or a labels file) tell it.
        part: side of the official split; `None` where the data have none.
        group: images of a group must not be torn apart by a split; `None` where there are none.
        container: the archive the image lies in, `path` within it being `path` less this prefix; "" for none.
        aligned_corners: resize as meta-dataset's converter does (SPEC §5) instead of with anti-aliasing.
    """

    path: str
    image: bytes | NDArray[np.uint8]
    label: str | None = None
    part: Part | None = None
    group: str | None = None
    container: str = ""
    aligned_corners: bool = False

    @property
    def inner_path(self) -> str:
        """Path within the innermost container."""
        return self.path[len(self.container) :].lstrip("/") if self.container else self.path


@dataclass(frozen=True, slots=True)
class Dropped:
    """Something that was left out.

    Attributes:
        where: file, member of an archive, or class.
        why: one clause for people.
        harmless: nothing is lost by it, so that `strict` allows it.
    """

    where: str
    why: str
    harmless: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


class Source(Protocol):
    """A place images come from. Third parties register a callable `(argument: str) -> Source` under
    the entry-point group `nasgym.datasets`; users then write `NAME` or `NAME:ARGUMENT` for a path.
    """

    @property
    def name(self) -> str:
        """What people call the data set."""
        ...

    def fingerprint(self) -> str:
        """Return a short text that changes whenever `records` would hand over something else."""
        ...

    def records(self) -> Iterator[Record | Dropped]:
        """Hand over the images, and what was left out, one at a time.

        Raises:
            DataError: the source cannot be read at all.
        """
        ...
