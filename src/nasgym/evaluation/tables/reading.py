"""Reading what users have: CSV and JSON, plain, `.gz` or `.xz`."""

import csv
import gzip
import io
import json
import lzma
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nasgym.core.errors import TableError, nearest

MAX_CHARACTERS = 1 << 30
"""Characters of a file once decompressed; a larger one is refused."""


def read_text(path: Path) -> str:
    """Return the text of a file, decompressed by its suffix.

    Raises:
        TableError: it cannot be read, is not text, or is larger than `MAX_CHARACTERS`.
    """
    openers: Mapping[str, Any] = {".gz": gzip.open, ".xz": lzma.open}
    try:
        with openers.get(path.suffix, open)(path, "rt", encoding="utf-8") as file:
            text: str = file.read(MAX_CHARACTERS + 1)
    except FileNotFoundError as error:
        raise TableError(f"{path}: no such file.") from error
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise TableError(f"{path}: cannot be read as text: {error}.") from error
    if len(text) > MAX_CHARACTERS:
        raise TableError(f"{path}: more than {MAX_CHARACTERS:,} characters; this is no table of a benchmark.")
    return text


def read_csv(path: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    """Return the rows of a CSV file with a header line, which has the columns `needed`.

    Raises:
        TableError: it cannot be read, a column is missing, or a row has another number of fields.
    """
    try:
        reader = csv.DictReader(io.StringIO(read_text(path)), strict=True)
        columns = list(reader.fieldnames or [])
        rows = list(reader)
    except csv.Error as error:
        raise TableError(f"{path}: not a CSV file: {error}.") from error
    for column in needed:
        if column not in columns:
            raise TableError(
                f"{path}: no column {column!r} (it has {', '.join(columns) or 'none'}).{nearest(column, columns)}"
            )
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise TableError(f"{path}, line {number}: another number of fields than the {len(columns)} of the header.")
    return rows


def read_json_object(path: Path) -> dict[str, Any]:
    """Return the object of a JSON file.

    Raises:
        TableError: it cannot be read, or is not a JSON object.
    """
    try:
        values = json.loads(read_text(path))
    except ValueError as error:
        raise TableError(f"{path}: not a JSON file: {error}.") from error
    if not isinstance(values, dict):
        raise TableError(f"{path}: holds a {type(values).__name__}; an object with one entry per network is needed.")
    return values


def number(value: object, where: str) -> float | None:
    """Return a number; `None` for an empty field.

    Raises:
        TableError: it is something else, or not finite; `where` says which field of which file.
    """
    if value == "" or value is None:
        return None
    try:
        found = float(value) if isinstance(value, str | int | float) else math.nan
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise TableError(f"{where}: {value!r} is not a number.")
    return found


def fraction(value: object, where: str) -> float | None:
    """Return a percentage as a fraction in [0, 1]; `None` for an empty field.

    Raises:
        TableError: it is not a number from 0 to 100.
    """
    percent = number(value, where)
    if percent is None:
        return None
    if not 0 <= percent <= 100:
        raise TableError(f"{where}: {percent} is not a percentage from 0 to 100.")
    return percent / 100
