"""Files and folders as people have them, told apart by name: class folders, archives, arrays, CIFAR, idx, TFRecord."""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from nasgym.core.errors import DataError
from nasgym.data import arrays
from nasgym.data.archives import (
    ARCHIVE_SUFFIXES,
    Blob,
    archive_blobs,
    archive_stem,
    blob_of,
    files_under,
    is_archive,
)
from nasgym.data.labelling import part_in_name, part_word
from nasgym.data.records import Dropped, Part, Record
from nasgym.data.tables import csv_records
from nasgym.data.tfrecord import tfrecord_records

IMAGE_SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in (
        *("png", "jpg", "jpeg", "jpe", "jfif", "bmp", "gif", "webp", "tif", "tiff"),
        *("ppm", "pgm", "pbm", "pnm", "tga", "jp2", "ico"),
    )
)
_DOCUMENTS = frozenset(
    f".{suffix}"
    for suffix in (
        *("md", "rst", "txt", "html", "htm", "pdf", "csv", "tsv", "json", "yaml", "yml"),
        *("xml", "toml", "ini", "log", "sha256", "md5"),
    )
)
_DOCUMENT_NAMES = frozenset({"license", "licence", "readme", "citation", "copying", "notice", "authors", "version"})
_PICKLE_NAME = re.compile(r"(^|/)(data_batch_\d|test_batch|batches\.meta)$|\.(pkl|pickle|p)$", re.IGNORECASE)
_CIFAR_NAME = re.compile(r"(^|/)(data_batch_\d+|test_batch|train|test)\.bin$")
_CIFAR_CLASSES = re.compile(r"(^|/)(batches\.meta|fine_label_names)\.txt$")
_EXPECTED = (
    "Expected folders of images, one a class; a zip or tar of them; .npz, .npy, idx, CIFAR .bin or .tfrecords files."
)


@dataclass(frozen=True)
class FileSource:
    """A file or folder on disk.

    Attributes:
        path: what the user gave.
    """

    path: Path

    @property
    def name(self) -> str:
        """Name of the file or folder without its suffix."""
        resolved = self.path.resolve()
        if self.path.is_dir():
            return resolved.name
        return archive_stem(resolved.name) if is_archive(resolved.name) else resolved.name.split(".")[0]

    def files(self) -> list[tuple[str, Path]]:
        """Return relative and real path of every file that counts.

        Raises:
            DataError: there is nothing at `path`.
        """
        if not self.path.exists():
            raise DataError(
                f"No file or folder {str(self.path)!r}. Give a path, or `digits` for the built-in data set."
            )
        if self.path.is_dir():
            return files_under(self.path)
        own = [(self.path.name, self.path)]
        role = arrays.idx_role(self.path.name)
        if role is None:
            return own
        return own + [
            (other.name, other)
            for other in sorted(self.path.parent.iterdir())
            if other != self.path
            and (found := arrays.idx_role(other.name))
            and found[0] == role[0]
            and found[1] != role[1]
        ]

    def fingerprint(self) -> str:
        """Return a hash of names and contents; the name of a single file does not count."""
        digest = hashlib.blake2b(digest_size=16)
        files = self.files()
        for relative, path in files:
            digest.update(b"\0" + (relative if len(files) > 1 else _kind_name(relative)).encode() + b"\0")
            if not path.is_file():
                continue
            try:
                with path.open("rb") as file:
                    digest.update(hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest())
            except OSError as error:
                raise DataError(f"{path}: cannot be read ({error.strerror}). Check its permissions.") from error
        return digest.hexdigest()

    def signature(self) -> str:
        """Return a hash of names, sizes and times of change, which tells without reading whether anything changed."""
        digest = hashlib.blake2b(os.fsencode(self.path.resolve()), digest_size=16)
        for relative, path in self.files():
            status = path.stat() if path.is_file() else None
            when = (status.st_size, status.st_mtime_ns) if status else None
            digest.update(f"\0{relative}\0{when}".encode())
        return digest.hexdigest()

    def records(self) -> Iterator[Record | Dropped]:
        """Hand over every image, and what is no image.

        Raises:
            DataError: an archive or array is damaged or unsafe, or the folder holds nothing.
        """
        files = self.files()
        if not files:
            raise DataError(f"{self.path}: the folder is empty. {_EXPECTED}")
        if self.path.is_file() and is_archive(self.path.name):
            yield from _interpret(archive_blobs(self.path), _Naming())
            return
        if self.path.is_file() and self.path.suffix.lower() == ".csv":
            yield from csv_records(self.path.read_bytes(), self.path.name)
            return
        naming = _Naming.of([relative for relative, _ in files]) if len(files) > 1 else _Naming()
        yield from _interpret(self._blobs(files), naming)

    def _blobs(self, files: list[tuple[str, Path]]) -> Iterator[Blob | Dropped]:
        for relative, path in files:
            if not path.is_file():
                yield Dropped(relative, "a broken link, or no file")
            elif is_archive(relative):
                yield from archive_blobs(path, prefix=relative)
            else:
                yield blob_of(relative, path)


@dataclass(frozen=True)
class _Naming:
    """What the names of array files in a folder tell: sides of an official split, and parts of the class names.

    Attributes:
        parts: side by path of the file; empty where the names tell none.
        prefixes: what to put in front of numbered classes by path of the file; empty for shards of one set.
    """

    parts: dict[str, Part] = field(default_factory=dict)
    prefixes: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, paths: list[str]) -> "_Naming":
        """Read the names of `.npz` and `.tfrecords` files and idx pairs."""
        stems = {path: _array_stem(path) for path in paths if _array_stem(path)}
        told = {path: _part_of_array(path, stem) for path, stem in stems.items()}
        parts = {path: part for path, (part, _) in told.items() if part is not None}
        rests = {path: re.sub(r"[-_. ]?\d+$", "", rest) for path, (_, rest) in told.items() if path.endswith(".npz")}
        official = len(parts) == len(told) and len(set(parts.values())) > 1
        return cls(parts if official else {}, rests if len(set(rests.values())) > 1 else {})


def _part_of_array(path: str, stem: str) -> tuple[Part | None, str]:
    if stem.lower().startswith("t10k"):
        return Part.TEST, stem[4:]
    folder = PurePosixPath(path).parts[0] if "/" in path else ""
    return (part_word(folder), stem) if part_word(folder) else part_in_name(stem)


def _array_stem(path: str) -> str:
    role = arrays.idx_role(path)
    if role is not None:
        return PurePosixPath(role[0]).name
    name = PurePosixPath(path)
    return name.stem if name.suffix.lower() in (".npz", ".tfrecords", ".tfrecord") else ""


def _kind_name(path: str) -> str:
    """Return the part of a single file's name that decides how it is read (a Quick, Draw! file's name is its class)."""
    if path.lower().endswith(".npy"):
        return path
    return next((suffix for suffix in ARCHIVE_SUFFIXES if path.lower().endswith(suffix)), PurePosixPath(path).suffix)


def _is_document(path: str) -> bool:
    """Return whether a file merely describes the data, so that leaving it out loses nothing."""
    name = PurePosixPath(path)
    return name.suffix.lower() in _DOCUMENTS or name.stem.lower() in _DOCUMENT_NAMES


def _interpret(blobs: Iterator[Blob | Dropped], naming: _Naming) -> Iterator[Record | Dropped]:
    """Turn files into records by their names; pairs and CIFAR's class names wait until everything was seen."""
    idx: dict[str, dict[str, tuple[str, bytes]]] = {}
    cifar: dict[str, bytes] = {}
    names: tuple[str, ...] = ()
    for blob in blobs:
        if isinstance(blob, Dropped):
            yield blob
            continue
        role = arrays.idx_role(blob.path)
        if _PICKLE_NAME.search(blob.path):
            raise DataError(
                f"{blob.path}: a Python pickle can run any code when it is opened, so it is never read. "
                "Take the binary version (for CIFAR: cifar-10-binary.tar.gz), or save the arrays with numpy.savez."
            )
        if role is not None:
            idx.setdefault(role[0], {})[role[1]] = (blob.path, blob.read())
        elif _CIFAR_NAME.search(blob.path):
            cifar[blob.path] = blob.read()
        elif _CIFAR_CLASSES.search(blob.path):
            names = tuple(blob.read().decode("utf-8", "replace").split())
        else:
            yield from _single(blob, naming)
    for pair in idx.values():
        yield from _idx_pair(pair, naming)
    for path, content in sorted(cifar.items()):
        yield from arrays.cifar_records(content, path, names)


def _idx_pair(pair: dict[str, tuple[str, bytes]], naming: _Naming) -> Iterator[Record]:
    if set(pair) != {"images", "labels"}:
        (role, (path, _)) = next(iter(pair.items()))
        missing = "labels" if role == "images" else "images"
        raise DataError(f"{path}: its file of {missing} is missing. Put both files of the pair into one folder.")
    path, images = pair["images"]
    yield from arrays.idx_records(images, pair["labels"][1], path, naming.parts.get(path))


_ARRAY_READERS: dict[str, Callable[[bytes, str], Iterator[Record]]] = {
    ".npz": arrays.npz_records,
    ".npy": arrays.npy_records,
    ".tfrecords": tfrecord_records,
    ".tfrecord": tfrecord_records,
}


def _single(blob: Blob, naming: _Naming) -> Iterator[Record | Dropped]:
    suffix = PurePosixPath(blob.path).suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        yield Record(blob.path, blob.read(), container=blob.container)
    elif suffix in _ARRAY_READERS:
        prefix = naming.prefixes.get(blob.path)
        for record in _ARRAY_READERS[suffix](blob.read(), blob.path):
            label = f"{prefix}/{record.label}" if prefix and (record.label or "").isdigit() else record.label
            yield replace(record, label=label, part=record.part or naming.parts.get(blob.path))
    elif is_archive(blob.path):
        yield Dropped(blob.path, "an archive within an archive; unpack it")
    else:
        yield Dropped(blob.path, "not an image", harmless=_is_document(blob.path))
