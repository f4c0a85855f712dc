"""Decoded images on disk: a folder a data set, named by content, written once and mapped by every process.

A folder holds `images.npy` `(n, size, size, channels)` uint8, `index.npz` (labels, digests, sides, groups, original
sizes, paths) and `dataset.json`, which describes them and holds their checksums. It is written under another name and
renamed at the end, so a folder that exists is complete; one that was cut off or damaged later is told by its checksums
and made again.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nasgym.core.files import write_atomically
from nasgym.data.decoding import PARTS, Arranged, Staging
from nasgym.data.disk import writing_to

FORMAT = 2
"""Part of every key: raise it whenever decoding or the layout changes."""

_BLOCK = 1 << 26
_BLOCKS_CHECKED = 16
_DRAFT = "writing-"
_ABANDONED = 86_400


@dataclass(frozen=True)
class Description:
    """What `dataset.json` holds.

    Attributes:
        format: `FORMAT` when it was written.
        fingerprint: hash of images, classes, size and channels.
        class_names: names by label.
        problems: (where, why, harmless) of what was dropped.
        image_checksums: CRC-32 of each block of 64 MiB of `images.npy`.
        index_checksum: CRC-32 of `index.npz`.
        image_bytes: length of `images.npy`.
    """

    format: int
    fingerprint: str
    class_names: tuple[str, ...]
    problems: tuple[tuple[str, str, bool], ...]
    image_checksums: tuple[int, ...]
    index_checksum: int
    image_bytes: int


def cache_key(content: str, size: int, labels: bytes) -> str:
    """Return the name of the folder for this content, image size and labels file."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (str(FORMAT).encode(), content.encode(), str(size).encode(), labels):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def remembered(cache: Path, signature: str, compute: Callable[[], str]) -> str:
    """Return `compute()`, or what it gave before for the same signature of names, sizes and times of change."""
    note = cache / "seen" / signature
    try:
        text = note.read_text()
    except (OSError, UnicodeDecodeError):
        text = ""
    if len(text) == 32 and set(text) <= set("0123456789abcdef"):
        return text
    value = compute()
    with writing_to(cache):
        note.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(note, value.encode())
    return value


def read_description(folder: Path) -> Description:
    """Return what `dataset.json` says.

    Raises:
        OSError, ValueError, TypeError, KeyError: it is missing or damaged.
    """
    described: dict[str, Any] = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    return Description(
        **described
        | {
            "class_names": tuple(described["class_names"]),
            "problems": tuple((where, why, harmless) for where, why, harmless in described["problems"]),
            "image_checksums": tuple(described["image_checksums"]),
        }
    )


def is_intact(folder: Path) -> bool:
    """Return whether all files of a folder are there and as they were written."""
    try:
        description = read_description(folder)
        return (
            description.format == FORMAT
            and (folder / "images.npy").stat().st_size == description.image_bytes
            and zlib.crc32((folder / "index.npz").read_bytes()) == description.index_checksum
            and _images_intact(folder / "images.npy", description.image_checksums)
        )
    except (OSError, ValueError, TypeError, KeyError):
        return False


def _images_intact(path: Path, checksums: tuple[int, ...]) -> bool:
    """Check every block of up to 1 GiB, and 16 evenly spaced blocks of more."""
    step = max(1, len(checksums) // _BLOCKS_CHECKED)
    with path.open("rb") as file:
        for index in range(0, len(checksums), step):
            file.seek(index * _BLOCK)
            if zlib.crc32(file.read(_BLOCK)) != checksums[index]:
                return False
    return True


def write(folder: Path, arranged: Arranged, staging: Staging, size: int) -> None:
    """Write the folder; whoever comes second in a race keeps what the first one wrote.

    Raises:
        DataError: the disk is full, or the place cannot be written.
    """
    with writing_to(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(folder.parent)
        draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=folder.parent))
        try:
            _fill(draft, arranged, staging, size)
            _put_in_place(draft, folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _remove_abandoned(cache: Path) -> None:
    """Remove what processes that were killed while writing left behind more than a day ago."""
    for draft in cache.glob(f"{_DRAFT}*"):
        if time.time() - draft.stat().st_mtime > _ABANDONED:
            shutil.rmtree(draft, ignore_errors=True)


def _put_in_place(draft: Path, folder: Path) -> None:
    if folder.exists():
        if is_intact(folder):
            return
        shutil.rmtree(folder, ignore_errors=True)
    try:
        draft.rename(folder)
    except OSError:
        if not is_intact(folder):
            raise


def _fill(draft: Path, arranged: Arranged, staging: Staging, size: int) -> None:
    channels = max(entry.channels for entry in arranged.entries)
    shape = (len(arranged.entries), size, size, channels)
    with (draft / "images.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        for entry in arranged.entries:
            file.write(staging.pixels(entry, channels).tobytes())
        file.flush()
        os.fsync(file.fileno())
    index = _index(arranged)
    with (draft / "index.npz").open("wb") as file:
        np.savez(file, allow_pickle=False, **index)
    description = Description(
        format=FORMAT,
        fingerprint=_fingerprint(arranged, shape),
        class_names=arranged.class_names,
        problems=tuple((drop.where, drop.why, drop.harmless) for drop in arranged.dropped),
        image_checksums=_checksums(draft / "images.npy"),
        index_checksum=zlib.crc32((draft / "index.npz").read_bytes()),
        image_bytes=(draft / "images.npy").stat().st_size,
    )
    (draft / "dataset.json").write_text(json.dumps(asdict(description)), encoding="utf-8")


def _index(arranged: Arranged) -> dict[str, Any]:
    order = {name: index for index, name in enumerate(arranged.class_names)}
    return {
        "labels": np.array([order[one.label] for one in arranged.assignments], np.int64),
        "digests": np.frombuffer(b"".join(entry.digest for entry in arranged.entries), np.uint8).reshape(-1, 16),
        "parts": np.array([-1 if one.part is None else PARTS.index(one.part) for one in arranged.assignments], np.int8),
        "groups": np.array([one.group or "" for one in arranged.assignments], np.str_),
        "originals": np.array([entry.original for entry in arranged.entries], np.int32),
        "paths": np.array([entry.record.path for entry in arranged.entries], np.str_),
    }


def _fingerprint(arranged: Arranged, shape: tuple[int, ...]) -> str:
    digest = hashlib.blake2b(json.dumps([FORMAT, shape, arranged.class_names]).encode(), digest_size=16)
    for entry, assignment in zip(arranged.entries, arranged.assignments, strict=True):
        digest.update(entry.digest + assignment.label.encode() + b"\0")
    return digest.hexdigest()


def _checksums(path: Path) -> tuple[int, ...]:
    with path.open("rb") as file:
        return tuple(zlib.crc32(block) for block in iter(lambda: file.read(_BLOCK), b""))
