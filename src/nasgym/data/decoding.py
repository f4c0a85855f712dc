"""From records to images in canonical order: decode, assign classes, drop what does not take part."""

import hashlib
import os
import tempfile
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nasgym.core.errors import DataError
from nasgym.data.archives import archive_stem
from nasgym.data.disk import writing_to
from nasgym.data.labelling import Assignment, LabelsFile, from_folders, natural_key
from nasgym.data.pixels import UnreadableImageError, decode_sized
from nasgym.data.records import Dropped, Part, Record

PARTS = tuple(Part)
"""Sides of a split by the code that stands for them in arrays."""

_IN_MEMORY = 1 << 28
_THREADS = min(4, os.cpu_count() or 1)
_BATCH = 32
_BATCHES_AHEAD = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """One decoded image among many.

    Attributes:
        record: where it came from, without its content.
        digest: hash of its content before decoding, 16 bytes.
        offset: place of its pixels in the staging file.
        channels: 1 or 3.
        original: height and width before resizing.
    """

    record: Record
    digest: bytes
    offset: int
    channels: int
    original: tuple[int, int]


class Staging:
    """Decoded pixels in order of arrival, in memory or, when they are many, in a temporary file."""

    def __init__(self, folder: Path, size: int) -> None:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(folder))  # noqa: SIM115 - closed by close()
        self._folder = folder
        self._size = size
        self._end = 0

    def append(self, pixels: NDArray[np.uint8]) -> int:
        """Keep `(size, size, channels)` pixels; return their offset.

        Raises:
            DataError: the disk is full.
        """
        offset = self._end
        with writing_to(self._folder):
            self._end += self._file.write(pixels.tobytes())
        return offset

    def pixels(self, entry: Entry, channels: int) -> NDArray[np.uint8]:
        """Return the image of `entry`, grey repeated to `channels`."""
        self._file.seek(entry.offset)
        shape = (self._size, self._size, entry.channels)
        image = np.frombuffer(self._file.read(self._size * self._size * entry.channels), np.uint8).reshape(shape)
        return np.broadcast_to(image, (self._size, self._size, channels))

    def close(self) -> None:
        """Free the memory or the file."""
        self._file.close()


def decode_all(
    records: Iterator[Record | Dropped], staging: Staging, size: int, progress: Callable[[int], None]
) -> tuple[list[Entry], list[Dropped]]:
    """Decode every record into `staging`; return what was decoded and what was dropped, in order of arrival.

    Pillow's warnings about odd but readable files are not shown.
    """
    entries: list[Entry] = []
    dropped: list[Dropped] = []
    with warnings.catch_warnings(), ThreadPoolExecutor(_THREADS) as pool:
        warnings.simplefilter("ignore")
        for result in _ahead(pool, records, size):
            match result:
                case Dropped():
                    dropped.append(result)
                case (record, digest, pixels, original):
                    entries.append(Entry(record, digest, staging.append(pixels), pixels.shape[2], original))
                    progress(len(entries))
    return entries, dropped


_Decoded = Dropped | tuple[Record, bytes, NDArray[np.uint8], tuple[int, int]]


def _ahead(pool: ThreadPoolExecutor, records: Iterator[Record | Dropped], size: int) -> Iterator[_Decoded]:
    """Decode in threads a bounded number of batches ahead; Pillow lets go of the interpreter while it decodes."""
    waiting: deque[Future[list[_Decoded]]] = deque()
    try:
        while batch := list(islice(records, _BATCH)):
            waiting.append(pool.submit(_decode_batch, batch, size))
            if len(waiting) > _BATCHES_AHEAD:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _decode_batch(batch: Sequence[Record | Dropped], size: int) -> list[_Decoded]:
    return [item if isinstance(item, Dropped) else _decode_one(item, size) for item in batch]


def _decode_one(record: Record, size: int) -> _Decoded:
    try:
        return replace(record, image=b""), _digest(record), *decode_sized(record, size)
    except UnreadableImageError as error:
        return Dropped(record.path, str(error))


def _digest(record: Record) -> bytes:
    if isinstance(record.image, bytes):
        return hashlib.blake2b(record.image, digest_size=16).digest()
    header = f"pixels {record.image.shape}".encode()
    return hashlib.blake2b(header + np.ascontiguousarray(record.image).tobytes(), digest_size=16).digest()


@dataclass(frozen=True)
class Arranged:
    """Images with their classes, in an order that depends on content alone: by class, then by content.

    Attributes:
        entries: the images.
        assignments: class, side and group of each.
        class_names: sorted; "2" before "10".
        dropped: what was left out.
    """

    entries: list[Entry]
    assignments: list[Assignment]
    class_names: tuple[str, ...]
    dropped: list[Dropped]


def arrange(entries: list[Entry], dropped: list[Dropped], labels: LabelsFile | None, where: str) -> Arranged:
    """Assign classes and put the images into canonical order.

    Raises:
        DataError: fewer than two classes remain.
    """
    assignments, more = _assign(entries, labels)
    answers = _once(entries, _official(entries, assignments))
    kept = [(entry, answer) for entry, answer in zip(entries, answers, strict=True) if isinstance(answer, Assignment)]
    lost = [*dropped, *(answer for answer in answers if isinstance(answer, Dropped)), *more]
    names = tuple(sorted({answer.label for _, answer in kept}, key=natural_key))
    if len(names) < 2:
        raise DataError(_too_few_classes(where, len(kept), names, lost))
    order = {name: index for index, name in enumerate(names)}
    kept.sort(key=lambda pair: (order[pair[1].label], pair[0].digest, pair[1].part or "", pair[1].group or ""))
    lost.sort(key=lambda drop: (drop.where, drop.why))
    return Arranged([entry for entry, _ in kept], [answer for _, answer in kept], names, lost)


def _too_few_classes(where: str, n_images: int, names: tuple[str, ...], lost: list[Dropped]) -> str:
    found = f"{n_images} images of {'the class ' + repr(names[0]) if names else 'no class'}"
    reasons = "".join(f"\n  {drop}" for drop in lost[:5]) + (f"\n  … and {len(lost) - 5} more" if len(lost) > 5 else "")
    return (
        f"{where}: found {found}; a classification task needs at least two classes. Put the images of each class into "
        f"a folder of its own, or give a labels file." + (f" Left out:{reasons}" if lost else "")
    )


def _assign(entries: list[Entry], labels: LabelsFile | None) -> tuple[list[Assignment | Dropped], list[Dropped]]:
    if labels is not None:
        return labels.assign([entry.record.path for entry in entries])
    unlabelled = [index for index, entry in enumerate(entries) if entry.record.label is None]
    paths = [(entries[index].record.inner_path, entries[index].record.container) for index in unlabelled]
    told = dict(zip(unlabelled, from_folders(paths) if paths else [], strict=True))
    answers: list[Assignment | Dropped] = [
        told[index]
        if entry.record.label is None
        else Assignment(entry.record.label, entry.record.part, entry.record.group)
        for index, entry in enumerate(entries)
    ]
    return answers, []


def _official(entries: list[Entry], answers: list[Assignment | Dropped]) -> list[Assignment | Dropped]:
    """Keep the sides if they make a split: training images, and something to test on; else forget them."""
    parts = {answer.part for answer in answers if isinstance(answer, Assignment)} - {None}
    if Part.TRAIN not in parts or len(parts) < 2:
        return [replace(answer, part=None) if isinstance(answer, Assignment) else answer for answer in answers]
    return [
        Dropped(entry.record.path, "on no side of the official split")
        if isinstance(answer, Assignment) and answer.part is None
        else answer
        for entry, answer in zip(entries, answers, strict=True)
    ]


def _once(entries: list[Entry], answers: list[Assignment | Dropped]) -> list[Assignment | Dropped]:
    """Keep one of the files that lie at the same path in several archives, with the same content and class."""
    first: dict[tuple[str, bytes, str, Part | None], str] = {}
    result: list[Assignment | Dropped] = []
    for entry, answer in zip(entries, answers, strict=True):
        record = entry.record
        if isinstance(answer, Assignment) and record.container:
            path = record.inner_path.removeprefix(archive_stem(record.container) + "/")
            owner = first.setdefault((path, entry.digest, answer.label, answer.part), record.container)
            if owner != record.container:
                result.append(Dropped(record.path, f"the same file as in {owner}", harmless=True))
                continue
        result.append(answer)
    return result
