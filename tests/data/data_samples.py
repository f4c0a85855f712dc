"""Small image files for tests: every image is a different picture, told by its seed."""

import io
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def pixels(seed: int, size: int = 8, channels: int = 1) -> NDArray[np.uint8]:
    """Return a random picture `(size, size, channels)`, the same for the same seed."""
    return np.random.default_rng(seed).integers(0, 256, (size, size, channels), dtype=np.uint8)


def encoded(array: NDArray[np.uint8], form: str = "PNG") -> bytes:
    """Return the bytes of an image file."""
    stream = io.BytesIO()
    Image.fromarray(array[..., 0] if array.shape[2] == 1 else array).save(stream, form)
    return stream.getvalue()


def png(seed: int, size: int = 8, channels: int = 1) -> bytes:
    """Return a random PNG file."""
    return encoded(pixels(seed, size, channels))


def pictures(classes: Sequence[str] = ("cat", "dog"), each: int = 6, start: int = 0) -> dict[str, bytes]:
    """Return files by path: `each` pictures in a folder a class."""
    return {
        f"{name}/{index}.png": png(start + 1000 * place + index)
        for place, name in enumerate(classes)
        for index in range(each)
    }


def write_folder(root: Path, files: Mapping[str, bytes]) -> Path:
    """Write files under `root` and return it."""
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def write_zip(path: Path, files: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write a zip and return its path."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_tar(path: Path, files: Mapping[str, bytes], mode: str = "w") -> Path:
    """Write a tar and return its path."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]  # mode is any of tarfile's
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path
