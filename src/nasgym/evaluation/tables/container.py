"""One file of named arrays and a description: what tables and surrogates are kept in.

A safetensors file: the length of the header (8 bytes), a JSON header, raw little-endian arrays. Of the candidates it is
the one that is a single file (a folder can be copied by halves), is read by memory map (a compressed `.npz` cannot be),
holds nothing that could be executed (no pickle), is checked for missing and surplus bytes when opened, and can be
read from other languages with a library or with twenty lines. The entry `nasgym` of the header's `__metadata__` is
JSON: name and version of the format, our description, and a SHA-256 of all of it, which is checked, too. (One
entry, because safetensors writes several in an order that changes from run to run.)
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from nasgym.core.errors import TableError

_ENTRY = "nasgym"
_LENGTH_BYTES = 8
_DTYPES = {"U8": np.uint8, "I32": np.int32, "I64": np.int64, "U64": np.uint64, "F32": np.float32, "F64": np.float64}


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file.

    Attributes:
        name: written into the file.
        version: newest version understood; goes up when an older nasgym could not read what is written.
        noun: what people call such a file.
    """

    name: str
    version: int
    noun: str


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Attributes:
        description: JSON values.
        arrays: by name, read-only, mapped from the file.
        digest: SHA-256 of description and arrays, hexadecimal.
    """

    description: dict[str, Any]
    arrays: dict[str, NDArray[Any]]
    digest: str


def write_container(
    path: Path, kind: Format, description: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> str:
    """Write a file of `kind` in place of what is at `path`, which is whole at every moment; return the digest.

    Raises:
        TableError: it cannot be written.
    """
    ordered = {name: np.ascontiguousarray(array) for name, array in sorted(arrays.items())}
    about = {"format": kind.name, "version": kind.version, "description": dict(description)}
    digest = _digest(about, ordered)
    text = json.dumps(about | {"sha256": digest}, sort_keys=True, ensure_ascii=False)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(save(ordered, metadata={_ENTRY: text}))
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise TableError(f"{path}: the {kind.noun} cannot be written: {error}.") from error
    return digest


def read_container(path: Path, kind: Format) -> Contents:
    """Return what the file of `kind` at `path` holds; its arrays are mapped, not loaded.

    Raises:
        TableError: no such file, not of this kind, damaged, or written by a newer nasgym.
    """
    try:
        with safe_open(path, framework="np") as file:
            text = (file.metadata() or {}).get(_ENTRY)
    except FileNotFoundError as error:
        raise TableError(f"{path}: no such file; `nasgym table build` and `nasgym table import` write one.") from error
    except (OSError, SafetensorError) as error:
        raise TableError(f"{path}: not a {kind.noun}, or damaged or cut short: {error}.") from error
    about = _about(path, kind, text)
    arrays = _mapped(path)
    digest = about.pop("sha256")
    if digest != _digest(about, arrays):
        raise TableError(f"{path}: the {kind.noun} is damaged (its SHA-256 does not fit); copy or build it again.")
    return Contents(about["description"], arrays, digest)


def _about(path: Path, kind: Format, text: str | None) -> dict[str, Any]:
    """Return what a file says about itself, once it is of this kind and not too new."""
    try:
        about = json.loads(text or "{}")
    except ValueError as error:
        raise TableError(f"{path}: the {kind.noun} is damaged: {error}.") from error
    found = about.get("format") if isinstance(about, dict) else None
    if found != kind.name:
        raise TableError(f"{path}: not a {kind.noun} (format {found!r}, expected {kind.name!r}).")
    version = about.get("version")
    if not isinstance(version, int) or not 1 <= version <= kind.version:
        raise TableError(
            f"{path}: the {kind.noun} has version {version!r}, this nasgym reads up to {kind.version}; "
            "install a newer nasgym, or write the file again with this one."
        )
    return {name: about.get(name) for name in ("format", "version", "description", "sha256")}


def _mapped(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a safetensors file that is known to be whole, mapped read-only."""
    data = np.memmap(path, dtype=np.uint8, mode="r")
    length = int.from_bytes(data[:_LENGTH_BYTES].tobytes(), "little")
    start = _LENGTH_BYTES + length
    header = json.loads(data[_LENGTH_BYTES:start].tobytes())
    arrays: dict[str, NDArray[Any]] = {}
    for name, entry in sorted(header.items()):
        if name == "__metadata__":
            continue
        if entry["dtype"] not in _DTYPES:
            raise TableError(f"{path}: array {name!r} has type {entry['dtype']}, known are {', '.join(_DTYPES)}.")
        first, last = entry["data_offsets"]
        raw = np.asarray(data[start + first : start + last])
        arrays[name] = raw.view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return arrays


def _digest(about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    total = hashlib.sha256(json.dumps(about, sort_keys=True, ensure_ascii=False).encode())
    for name, array in arrays.items():
        total.update(f"{name} {array.dtype.str} {array.shape}".encode())
        total.update(array.reshape(-1).view(np.uint8).data)
    return total.hexdigest()
