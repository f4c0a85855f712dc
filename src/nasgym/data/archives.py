"""The files in a folder, a zip or a tar, one at a time; nothing is ever written to disk."""

import gzip
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nasgym.core.errors import DataError
from nasgym.data.records import Dropped

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2", ".tbz")
_DAMAGED = (EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile)
_IGNORED_NAMES = frozenset({"__MACOSX", "Thumbs.db", "thumbs.db", "desktop.ini", "Desktop.ini"})


@dataclass(frozen=True, slots=True)
class Limits:
    """When an archive is taken for a decompression bomb.

    Attributes:
        total: bytes that may always be unpacked from one archive.
        ratio: beyond `total`, bytes unpacked per byte of the archive.
        member: bytes of one member.
    """

    total: int = 1 << 30
    ratio: int = 200
    member: int = 2 << 30


@dataclass(frozen=True, slots=True)
class Blob:
    """One file of a folder or archive.

    Attributes:
        path: relative to the source, "/" between folders; a member of an archive in a folder as `archive.zip/inside`.
        read: returns its content; for a member of an archive only while the iteration stands at it.
        container: path of the archive it lies in, "" for none.
    """

    path: str
    read: Callable[[], bytes]
    container: str = ""

    @property
    def inner_path(self) -> str:
        """Path within the archive."""
        return self.path[len(self.container) + 1 :] if self.container else self.path


def is_archive(path: str) -> bool:
    """Return whether the name is that of a zip or tar."""
    return path.lower().endswith(ARCHIVE_SUFFIXES)


def archive_stem(path: str) -> str:
    """Return the last part of `path` without its archive suffix: `a/b.tar.xz` gives `b`."""
    name = PurePosixPath(path).name
    for suffix in sorted(ARCHIVE_SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def is_hidden(path: str) -> bool:
    """Return whether some part of `path` is a hidden file or what an operating system leaves behind."""
    return any(part.startswith(".") or part in _IGNORED_NAMES for part in PurePosixPath(path).parts)


def readable_name(name: str) -> str:
    """Return a file name without the surrogates that stand for bytes which are no UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def files_under(folder: Path) -> list[tuple[str, Path]]:
    """Return relative path and path of every visible file under `folder`, sorted; links are followed, loops are not."""
    found: list[tuple[str, Path]] = []
    seen: set[Path] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = Path(parent).resolve()
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for name in names:
            if not is_hidden(name):
                path = Path(parent) / name
                found.append((readable_name(path.relative_to(folder).as_posix()), path))
    return sorted(found)


def blob_of(relative: str, path: Path) -> Blob:
    """Return the blob of a file on disk; its `read` raises `DataError` if it cannot."""

    def read() -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}). Check its permissions.") from error

    return Blob(relative, read)


def archive_blobs(path: Path, prefix: str = "", limits: Limits | None = None) -> Iterator[Blob | Dropped]:
    """Hand over the visible files of a zip or tar in archive order; `prefix` is the archive's path in its folder.

    Raises:
        DataError: the archive is damaged, encrypted or a bomb, or a member is a link or points outside of it.
    """
    read = _zip_blobs if path.name.lower().endswith(".zip") else _tar_blobs
    yield from read(path, prefix, limits or Limits())


@contextmanager
def damage_named(where: str) -> Iterator[None]:
    """Turn what the decompressors raise into a `DataError` that names the file."""
    try:
        yield
    except _DAMAGED as error:
        why = " ".join(str(error).split())
        raise DataError(f"{where}: damaged or cut off ({why}). Download or copy it again.") from error
    except (OSError, ValueError, RuntimeError, OverflowError, LookupError, struct.error) as error:
        raise DataError(f"{where}: cannot be read ({error}). Check the file, or copy it again.") from error


def _zip_blobs(path: Path, prefix: str, limits: Limits) -> Iterator[Blob | Dropped]:
    with damage_named(str(path)), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        _Meter(path, limits).add("all members together", sum(member.file_size for member in members))
        for member in members:
            if stat.S_ISLNK(member.external_attr >> 16):
                raise _unsafe(path, member.filename, "is a link")
            name = _safe(path, member.filename)
            if member.is_dir() or is_hidden(name):
                continue
            if member.flag_bits & 1:
                raise DataError(f"{path}: member {name!r} is encrypted. Unpack it with its password first.")
            _check_member(path, name, member.file_size, limits)
            try:
                content = archive.read(member)
            except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError) as error:
                yield Dropped(f"{prefix or path.name}/{name}", f"damaged in the archive ({error})")
                continue
            yield _inside(prefix, name, content)


def _tar_blobs(path: Path, prefix: str, limits: Limits) -> Iterator[Blob | Dropped]:
    meter = _Meter(path, limits)
    with damage_named(str(path)), tarfile.open(path, "r:*") as archive:
        for member in archive:
            if member.issym() or member.islnk():
                raise _unsafe(path, member.name, "is a link")
            name = _safe(path, member.name)
            meter.add(name, member.size)
            if member.isdir() or is_hidden(name):
                continue
            if not member.isreg():
                raise _unsafe(path, member.name, "is a device or pipe")
            _check_member(path, name, member.size, limits)
            opened = archive.extractfile(member)
            content = opened.read() if opened else b""
            if len(content) != member.size:
                raise DataError(f"{path}: cut off within {name!r}. Download or copy it again.")
            yield _inside(prefix, name, content)
        _check_end(path)


def _check_end(path: Path) -> None:
    """Refuse a plain tar without its closing blocks of zeros: `tarfile` takes the end of the file for the end."""
    with path.open("rb") as file:
        compressed = file.read(6).startswith((b"\x1f\x8b", b"\xfd7zXZ", b"BZh"))
        file.seek(max(0, path.stat().st_size - 1024))
        tail = file.read()
    if not compressed and tail.strip(b"\0"):
        raise DataError(f"{path}: cut off, its end mark is missing. Download or copy it again.")


def _inside(prefix: str, name: str, content: bytes) -> Blob:
    return Blob(f"{prefix}/{name}" if prefix else name, lambda: content, prefix)


def _safe(archive: Path, name: str) -> str:
    """Return the normal form of a member's name, which must stay inside the archive."""
    plain = readable_name(name).replace("\\", "/")
    if plain.startswith("/") or ".." in plain.split("/") or plain[1:2] == ":" or "\0" in plain:
        raise _unsafe(archive, name, "points outside of it")
    return PurePosixPath(plain).as_posix()


def _unsafe(archive: Path, member: str, why: str) -> DataError:
    return DataError(f"{archive}: member {member!r} {why}; the archive is not safe. Pack it again without this member.")


def _check_member(path: Path, name: str, size: int, limits: Limits) -> None:
    if size > limits.member:
        raise DataError(
            f"{path}: member {name!r} unpacks to {size:,} bytes (limit {limits.member:,}): a decompression bomb? "
            "If you trust it, unpack it and give the folder."
        )


class _Meter:
    """Counts what one archive has unpacked to."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path = path
        self._limit = max(limits.total, limits.ratio * path.stat().st_size)
        self._total = 0

    def add(self, what: str, size: int) -> None:
        self._total += size
        if self._total > self._limit:
            raise DataError(
                f"{self._path}: unpacks to more than {self._limit:,} bytes (at {what}): a decompression bomb? "
                "If you trust it, unpack it and give the folder."
            )
