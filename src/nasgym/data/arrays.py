"""Images that come as arrays: npy, npz, idx, CIFAR binary. Nothing is ever unpickled."""

import gzip
import io
import math
import struct
import tokenize
import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasgym.core.errors import DataError
from nasgym.data.archives import Limits, damage_named
from nasgym.data.pixels import to_uint8
from nasgym.data.records import Part, Record

_IMAGE_KEYS = ("x", "images", "image", "data", "arr_0")
_LABEL_KEYS = ("y", "labels", "label", "targets", "target", "arr_1")
_SPLIT_KEYS = {
    Part.TRAIN: ("train", "training"),
    Part.VALIDATION: ("val", "valid", "validation"),
    Part.TEST: ("test", "testing"),
}
_HEADER_ERRORS = (
    *(ValueError, SyntaxError, TypeError, KeyError, EOFError, RecursionError, MemoryError),
    *(struct.error, tokenize.TokenError),
)
"""What numpy raises on a damaged header, which it reads as a Python literal."""
_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CIFAR_LABEL_BYTES = {3073: 1, 3074: 2}
"""Label bytes in a row of CIFAR-10 and of CIFAR-100 (coarse, fine), by length of the row; the last is the class."""


def read_npy(content: bytes, where: str) -> NDArray[Any]:
    """Return the array in the bytes of an `.npy` file.

    Raises:
        DataError: it is damaged, or holds Python objects.
    """
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        elif version == (2, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
        else:
            raise DataError(f"{where}: version {version} of the npy format is unknown. Save it again with numpy.save.")
    except _HEADER_ERRORS as error:
        raise DataError(f"{where}: not an array, or damaged ({error}). Save it again with numpy.save.") from error
    if dtype.hasobject:
        raise DataError(f"{where}: holds Python objects, which are never unpickled. Save numbers or strings instead.")
    count = math.prod(shape)
    if count < 0 or count * dtype.itemsize != len(content) - stream.tell():
        raise DataError(f"{where}: cut off or damaged; {shape} of {dtype} do not fit. Copy or save it again.")
    array = np.frombuffer(content, dtype, count, stream.tell()) if count and dtype.itemsize else np.zeros(0, dtype)
    return array.reshape(shape, order="F" if fortran else "C")


def read_npz(content: bytes, where: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of an `.npz` file by name.

    Raises:
        DataError: it is damaged, a bomb, or holds Python objects.
    """
    limits = Limits()
    with damage_named(where), zipfile.ZipFile(io.BytesIO(content)) as archive:
        total = sum(member.file_size for member in archive.infolist())
        if total > max(limits.total, limits.ratio * len(content)):
            raise DataError(f"{where}: unpacks to {total:,} bytes: a decompression bomb? Save fewer images a file.")
        return {
            member.filename.removesuffix(".npy"): read_npy(archive.read(member), f"{where}[{member.filename}]")
            for member in archive.infolist()
            if not member.is_dir()
        }


def npz_records(content: bytes, path: str) -> Iterator[Record]:
    """Hand over the images of an `.npz` file: arrays `x` and `y` (or images, labels, data, targets …), optionally
    `x_train`, `y_train`, `x_test`, … for an official split, or `split` with a name an image; and `class_names`.

    Raises:
        DataError: the arrays cannot be told apart, or do not fit together.
    """
    arrays = read_npz(content, path)
    named = {key.lower().replace("-", "_"): value for key, value in arrays.items()}
    names = next((named[key] for key in ("class_names", "classes", "label_names") if key in named), None)
    found = False
    for part in (None, *Part):
        images, labels = _find(named, _IMAGE_KEYS, part), _find(named, _LABEL_KEYS, part)
        if images is None:
            continue
        if labels is None:
            raise DataError(f"{path}: images without labels (arrays: {', '.join(arrays)}). Add an array `y`.")
        found = True
        parts = _parts(named.get("split"), len(images), path) if part is None else [part] * len(images)
        groups = named.get("groups") if part is None else None
        prefix = f"{path}[{part}]" if part else path
        yield from _records(prefix, images, labels, names=names, parts=parts, groups=groups)
    if not found:
        raise DataError(
            f"{path}: no images among its arrays ({', '.join(arrays) or 'none'}). Name them `x` and `y` "
            "(or `x_train`, `y_train`, `x_test`, `y_test`)."
        )


def _find(named: dict[str, NDArray[Any]], keys: tuple[str, ...], part: Part | None) -> NDArray[Any] | None:
    if part is None:
        return next((named[key] for key in keys if key in named), None)
    wanted = {form for key in keys for word in _SPLIT_KEYS[part] for form in (f"{key}_{word}", f"{word}_{key}")}
    return next((named[key] for key in named if key in wanted), None)


def _parts(splits: NDArray[Any] | None, n: int, path: str) -> list[Part | None]:
    if splits is None:
        return [None] * n
    if splits.shape != (n,):
        raise DataError(f"{path}: `split` has shape {splits.shape}; expected one name for each of {n} images.")
    return [Part(str(name)) if str(name) in set(Part) else None for name in splits]


def _records(
    path: str,
    images: NDArray[Any],
    labels: NDArray[Any],
    *,
    names: NDArray[Any] | None = None,
    parts: list[Part | None] | list[Part],
    groups: NDArray[Any] | None = None,
) -> Iterator[Record]:
    pixels = to_uint8(images, path)
    texts = label_texts(labels, names, path)
    if len(texts) != len(pixels):
        raise DataError(f"{path}: {len(pixels)} images but {len(texts)} labels. Save one label an image.")
    if groups is not None and groups.shape != (len(pixels),):
        raise DataError(f"{path}: `groups` has shape {groups.shape}; expected one for each of {len(pixels)} images.")
    for index, (image, text) in enumerate(zip(pixels, texts, strict=True)):
        group = None if groups is None else str(groups[index])
        yield Record(f"{path}[{index}]", image, text, parts[index], group or None)


def label_texts(labels: NDArray[Any], names: NDArray[Any] | None, where: str) -> list[str]:
    """Return labels as text: integers, strings or one-hot rows, looked up in `names` where there are some.

    Raises:
        DataError: they are neither, or outside of `names`.
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and labels.dtype.kind in "iufb" and (labels.sum(axis=1) == 1).all():
        labels = labels.argmax(axis=1)
    if (
        labels.ndim != 1
        or labels.dtype.kind not in "iufbUS"
        or (labels.dtype.kind == "f" and not (np.isfinite(labels).all() and (labels == np.rint(labels)).all()))
    ):
        raise DataError(
            f"{where}: labels of shape {labels.shape} and type {labels.dtype}; expected one integer or name an image."
        )
    if labels.dtype.kind == "S":
        return [value.decode("utf-8", "replace") for value in labels.tolist()]
    if labels.dtype.kind == "U":
        return [str(value) for value in labels.tolist()]
    numbers = [int(value) for value in labels.tolist()]
    if names is None:
        return [str(number) for number in numbers]
    words = label_texts(names, None, f"{where}[class_names]")
    if numbers and not 0 <= min(numbers) <= max(numbers) < len(words):
        raise DataError(f"{where}: labels from {min(numbers)} to {max(numbers)} but {len(words)} class names.")
    return [words[number] for number in numbers]


def npy_records(content: bytes, path: str) -> Iterator[Record]:
    """Hand over the images of a Quick, Draw! file: an array of one class, which is the file's name."""
    label = PurePosixPath(path).stem.removeprefix("full_numpy_bitmap_")
    for index, image in enumerate(to_uint8(read_npy(content, path), path)):
        yield Record(f"{path}[{index}]", image, label)


def read_idx(content: bytes, where: str) -> NDArray[Any]:
    """Return the array of an idx file (the format of MNIST), gzipped or not.

    Raises:
        DataError: it is damaged or no idx file.
    """
    limits = Limits()
    if content.startswith(b"\x1f\x8b"):
        with damage_named(where), gzip.open(io.BytesIO(content)) as stream:
            most = max(limits.total, limits.ratio * len(content))
            content = stream.read(most + 1)
        if len(content) > most:
            raise DataError(f"{where}: unpacks to more than {most:,} bytes: a decompression bomb?")
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _IDX_TYPES or not content[3]:
        raise DataError(f"{where}: not an idx file (first bytes {content[:4].hex()}). Download it again.")
    dimensions = content[3]
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise DataError(f"{where}: cut off within its header. Download it again.")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    dtype = np.dtype(_IDX_TYPES[content[2]])
    if math.prod(shape) * dtype.itemsize != len(content) - start:
        raise DataError(f"{where}: cut off or damaged; its header says {shape} of {dtype}. Download it again.")
    array = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return array.astype(dtype.newbyteorder("="))


def idx_role(path: str) -> tuple[str, str] | None:
    """Return what an idx file belongs to and whether it holds "images" or "labels"; `None` if it is no idx file.

    >>> idx_role("mnist/t10k-images-idx3-ubyte.gz")
    ('mnist/t10k', 'images')
    """
    stem = path.removesuffix(".gz")
    name = PurePosixPath(stem).name.lower()
    if not name.endswith(("ubyte", ".idx", ".idx1", ".idx3")) and "-idx" not in name:
        return None
    for role in ("images", "labels"):
        if role in name:
            place = stem.lower().rindex(role)
            return stem[:place].rstrip("-_."), role
    return None


def idx_records(images: bytes, labels: bytes, path: str, part: Part | None) -> Iterator[Record]:
    """Hand over the images of an idx pair; `path` is that of the images."""
    pixels = read_idx(images, path)
    yield from _records(path, pixels, read_idx(labels, f"labels of {path}"), parts=[part] * len(pixels))


def cifar_records(content: bytes, path: str, names: tuple[str, ...]) -> Iterator[Record]:
    """Hand over the images of a CIFAR-10 or CIFAR-100 binary file; `names` may be empty.

    Raises:
        DataError: its length fits neither.
    """
    lengths = [length for length in _CIFAR_LABEL_BYTES if content and len(content) % length == 0]
    if len(lengths) > 1:
        lengths = [3074] if PurePosixPath(path).name in ("train.bin", "test.bin") else [3073]
    if not lengths:
        raise DataError(
            f"{path}: {len(content):,} bytes are no whole number of CIFAR rows (3,073 or 3,074). Download it again."
        )
    offset = _CIFAR_LABEL_BYTES[lengths[0]]
    rows = np.frombuffer(content, np.uint8).reshape(-1, lengths[0])
    images = rows[:, offset:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    part = Part.TEST if PurePosixPath(path).name.startswith("test") else Part.TRAIN
    yield from _records(
        path, images, rows[:, offset - 1], names=np.array(names) if names else None, parts=[part] * len(rows)
    )
