"""Images in CSV files: a row an image, a column a pixel."""

import csv
import io
from collections.abc import Iterator

import numpy as np

from nasgym.core.errors import DataError
from nasgym.data.pixels import to_uint8
from nasgym.data.records import Record

_LABEL_COLUMNS = ("label", "class", "target", "y")


def csv_records(content: bytes, path: str) -> Iterator[Record]:
    """Hand over the images of a table with a header, a column `label`, and `side²` or `3 · side²` columns of pixels,
    row by row, channels last, as NASGym's exporter and many MNIST files have them.

    Raises:
        DataError: the table is no such table; names the line.
    """
    try:
        rows = csv.reader(io.StringIO(content.decode("utf-8-sig")), strict=True)
        header = [name.strip().lower() for name in next(rows, [])]
        labels, pixels = _columns(header, rows, path)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a CSV file in UTF-8 ({error}). Save it again as one.") from error
    n_pixels = len(header) - 1
    channels = next((c for c in (1, 3) if n_pixels and round((n_pixels / c) ** 0.5) ** 2 * c == n_pixels), None)
    if channels is None:
        raise DataError(f"{path}: {n_pixels} columns of pixels are no square image with 1 or 3 channels.")
    side = round((n_pixels / channels) ** 0.5)
    images = to_uint8(pixels.reshape(-1, side, side, channels), path)
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        yield Record(f"{path}[{index}]", image, label)


def _columns(
    header: list[str], rows: Iterator[list[str]], path: str
) -> tuple[list[str], np.ndarray[tuple[int, int], np.dtype[np.float32]]]:
    where = next((header.index(name) for name in _LABEL_COLUMNS if name in header), None)
    if where is None:
        raise DataError(
            f"{path}: no column `label` in its header. A table of pixels has one; for a list of files, give the folder "
            "and this file as --labels."
        )
    labels: list[str] = []
    values: list[np.ndarray[tuple[int], np.dtype[np.float32]]] = []
    for line, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise DataError(f"{path}, line {line}: {len(row)} values, but the header has {len(header)}.")
        labels.append(row.pop(where).strip())
        try:
            values.append(np.array(row, np.float32))
        except ValueError as error:
            raise DataError(f"{path}, line {line}: a pixel is not a number ({error}).") from error
    return labels, np.array(values, np.float32).reshape(len(values), len(header) - 1)
