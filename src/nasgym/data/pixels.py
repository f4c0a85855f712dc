"""From the bytes of an image file, or from raw pixels, to a small square of uint8."""

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from nasgym.core.errors import DataError
from nasgym.data.records import Record

MAX_PIXELS = 100_000_000
"""Pixels of one image; more is taken for a decompression bomb."""

_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    struct.error,
)
"""What Pillow's decoders raise on damaged files; each format has its own."""
_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F"})


class UnreadableImageError(Exception):
    """This image cannot be decoded; it is dropped and listed, the others are not affected."""


def decode(record: Record, size: int) -> NDArray[np.uint8]:
    """Return the image of `record` as `(size, size, 1)` if every pixel is grey, else `(size, size, 3)`.

    Files are turned upright (EXIF), composited over white where they are transparent, brought to 8 bits (16-bit values
    are divided by 257), and resized to a square without keeping the aspect ratio, bilinearly with anti-aliasing;
    with `aligned_corners`, bilinearly between aligned corners without anti-aliasing (SPEC §5).

    Raises:
        UnreadableImageError: the file is corrupt or no image.
        DataError: it would decode to more than `MAX_PIXELS` pixels.
    """
    return decode_sized(record, size)[0]


def decode_sized(record: Record, size: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Return what `decode` does, and height and width before resizing."""
    if isinstance(record.image, bytes):
        image, original = _open(record.image, record.path, size, exact=record.aligned_corners)
    else:
        image, original = _from_pixels(record.image), record.image.shape[:2]
    if record.aligned_corners:
        pixels = resize_aligned_corners(_with_channels(np.asarray(image)), size)
    else:
        if image.size != (size, size):
            image = image.resize((size, size), Image.Resampling.BILINEAR)
        pixels = _with_channels(np.asarray(image))
    if pixels.shape[2] == 3 and (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 0] == pixels[..., 2]).all():
        pixels = pixels[..., :1]
    return np.ascontiguousarray(pixels), (original[0], original[1])


def resize_aligned_corners(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return `(height, width, channels)` pixels at `(size, size, channels)`, corner pixels onto corner pixels."""
    if pixels.shape[:2] == (size, size):
        return pixels
    values = pixels.astype(np.float32)
    for axis in (0, 1):
        length = values.shape[axis]
        places = np.linspace(0, length - 1, size) if size > 1 else np.zeros(1)
        low = np.floor(places).astype(np.int64)
        high = np.minimum(low + 1, length - 1)
        weight = (places - low).astype(np.float32).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        values = np.take(values, low, axis) * (1 - weight) + np.take(values, high, axis) * weight
    return np.asarray(np.rint(values), dtype=np.uint8)


def to_uint8(array: NDArray[np.generic], where: str) -> NDArray[np.uint8]:
    """Return a batch of images as `(n, height, width, channels)` uint8.

    Accepts `(n, h, w)`, `(n, h, w, 1|3|4)`, `(n, 1|3, h, w)` and `(n, side²)`. Booleans become
    0 and 255, floats in [0, 1] are multiplied by 255, values up to 255 are kept, 16-bit ones divided by 257.

    Raises:
        DataError: shape or values are not those of images.
    """
    if array.ndim == 2:
        side = round(array.shape[1] ** 0.5)
        if side * side != array.shape[1]:
            raise DataError(f"{where}: rows of {array.shape[1]} values are not square images; give an (n, h, w) array.")
        array = array.reshape(len(array), side, side)
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim == 4 and array.shape[3] not in (1, 3, 4) and array.shape[1] in (1, 3):
        array = np.moveaxis(array, 1, 3)
    if array.ndim != 4 or array.shape[3] not in (1, 3, 4) or 0 in array.shape[1:]:
        raise DataError(
            f"{where}: an array of shape {array.shape} does not hold images; expected (n, h, w) or (n, h, w, 1|3|4)."
        )
    return _scaled(array, where)


def _scaled(array: NDArray[np.generic], where: str) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array.astype(np.uint8, copy=False)
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind not in "iuf":
        raise DataError(f"{where}: pixels of type {array.dtype} are not numbers; save them as uint8.")
    numbers = array.astype(np.float64)
    low, high = (float(numbers.min()), float(numbers.max())) if numbers.size else (0.0, 0.0)
    if not (np.isfinite(low) and np.isfinite(high)) or low < 0 or high > 65535:
        raise DataError(
            f"{where}: pixel values from {low:g} to {high:g}; expected [0, 1], [0, 255] or 16 bits. Rescale them."
        )
    if array.dtype.kind == "f" and high <= 1:
        numbers = numbers * 255
    elif high > 255:
        numbers = numbers / 257
    return np.asarray(np.rint(numbers), dtype=np.uint8)


def _from_pixels(pixels: NDArray[np.uint8]) -> Image.Image:
    if pixels.shape[2] == 1:
        return Image.fromarray(pixels[..., 0])
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return _over_white(image) if pixels.shape[2] == 4 else image


def _with_channels(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _open(content: bytes, path: str, size: int, *, exact: bool) -> tuple[Image.Image, tuple[int, int]]:
    """Return the image in mode L or RGB, and its stored height and width.

    Unless `exact`, large JPEG files are decoded at a half, a quarter or an eighth, never below four times `size`.
    """
    if not content:
        raise UnreadableImageError("the file is empty")
    try:
        image = Image.open(io.BytesIO(content))
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise _bomb(path, f"{width} × {height} pixels")
        if not exact:
            image.draft(None, (4 * size, 4 * size))
        return _eight_bits(ImageOps.exif_transpose(image)), (height, width)
    except UnidentifiedImageError as error:
        raise UnreadableImageError("not an image") from error
    except Image.DecompressionBombError as error:
        raise _bomb(path, str(error)) from error
    except _DECODER_ERRORS as error:
        raise UnreadableImageError(f"corrupt image ({type(error).__name__}: {error})") from error


def _bomb(path: str, what: str) -> DataError:
    return DataError(f"{path}: a decompression bomb ({what}, limit {MAX_PIXELS:,}). Remove the file, or scale it down.")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return a fully decoded image in mode L or RGB."""
    if image.mode.startswith("I;16") or image.mode == "I":
        values = np.clip(np.asarray(image).astype(np.float64), 0, 65535)
        return Image.fromarray(np.rint(values / 257).astype(np.uint8))
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image, dtype=np.float64))
        values = values * 255 if values.max() <= 1 else values
        return Image.fromarray(np.rint(np.clip(values, 0, 255)).astype(np.uint8))
    if image.has_transparency_data:
        return _over_white(image.convert("RGBA"))
    return image.convert("L" if image.mode in _GREY_MODES else "RGB")


def _over_white(image: Image.Image) -> Image.Image:
    background = Image.new("RGBA", image.size, "white")
    background.alpha_composite(image)
    return background.convert("RGB")
