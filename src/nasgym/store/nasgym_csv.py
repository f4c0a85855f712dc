"""NASGym's CSV of experiments, imported as the answers of a foreign estimator.

Its columns: `dataset-nethash` (data set, then the MD5 of the network), `netstring` (the NSC array as NumPy prints
it), `reward` in percent, `accuracy` in [0, 1], `density`, `flops`, `timestamp` (local time of its machine, read as
UTC), `running_time` in whole seconds, `is_valid`. Epochs, resolution and seed are not in it: 0 stands for them.
"""

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from nasgym.architectures import LeafMerge, architecture_id, canonical, decode, format_architecture
from nasgym.core.errors import ArchitectureError, StoreError
from nasgym.evaluation import Completed, EvaluationKey, Failed, FailureKind, Metrics, Outcome
from nasgym.store.base import Store
from nasgym.store.exchange import ImportReport
from nasgym.store.rows import StoredEvaluation

COLUMNS = (
    "dataset-nethash",
    "netstring",
    "reward",
    "accuracy",
    "density",
    "flops",
    "timestamp",
    "running_time",
    "is_valid",
)
ESTIMATOR = "nasgym-csv"
"""Estimator fingerprints of imported rows begin so, followed by the label."""

INVALID = "NASGym stored is_valid=False, which it did for any exception while training."

_MEMBER = re.compile(r"(?P<data>.+)-(?P<digest>[0-9a-f]{32})")
_NETSTRING = re.compile(r"(?:[\[\]\s]|\b\d{1,9}\b)*")
_MAX_ROWS = 200
"""NumPy abbreviates arrays of more than 1,000 numbers."""
_MAX_NUMBER = 2**63
_TRUE = frozenset({"true", "1", "1.0"})
_FALSE = frozenset({"false", "0", "0.0"})


class _UnreadableRowError(Exception):
    """A row that cannot be imported; says why."""


@dataclass
class _Tally:
    """What was left out while reading."""

    merged: int
    skipped: list[str]


def is_nasgym_csv(path: Path) -> bool:
    """Return whether `path` begins with the columns of NASGym's CSV, in any order."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return set(COLUMNS) <= set(next(csv.reader(stream), ()))
    except (UnicodeDecodeError, csv.Error):
        return False
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.") from error


def import_nasgym_csv(store: Store, path: Path, *, label: str | None = None) -> ImportReport:
    """Import NASGym's CSV `path` as answers of the estimator `nasgym-csv:<label>` under the `paper` ids.

    Terminal rows are dropped, so that the two keys which NASGym had for a network with and without one become one:
    the first row stays, the others count as merged. A row that cannot be read is skipped and reported.

    Args:
        store: takes the evaluations.
        path: the CSV.
        label: names its trainings; rows of files under one label are taken for answers to the same requests. Unless
            given, the first 12 digits of the SHA-256 of the file.

    Raises:
        StoreError: not NASGym's CSV, or the store cannot be written.
    """
    if not is_nasgym_csv(path):
        raise StoreError(f"{path} is not a CSV of NASGym: its first line must name {', '.join(COLUMNS)}.")
    content = path.read_bytes()
    estimator = f"{ESTIMATOR}:{label or hashlib.sha256(content).hexdigest()[:12]}"
    tally = _Tally(0, [])
    stream = io.StringIO(content.decode(errors="replace"), newline="")
    try:
        added = store.add(_evaluations(stream, estimator, tally))
    except csv.Error as error:
        raise StoreError(f"{path} is not a CSV throughout: {error}. What comes before is imported.") from error
    return ImportReport(added, merged=tally.merged, skipped=tuple(tally.skipped))


def _evaluations(stream: io.StringIO, estimator: str, tally: _Tally) -> Iterator[StoredEvaluation]:
    reader = csv.DictReader(stream)
    seen: set[EvaluationKey] = set()
    for row in reader:
        try:
            evaluation = _evaluation(row, estimator)
        except _UnreadableRowError as problem:
            tally.skipped.append(f"Line {reader.line_num}: {problem}")
            continue
        if evaluation.key in seen:
            tally.merged += 1
        else:
            seen.add(evaluation.key)
            yield evaluation


def _evaluation(row: Mapping[str, str | None], estimator: str) -> StoredEvaluation:
    texts = {name: (row[name] or "").strip() for name in COLUMNS}
    member = _MEMBER.fullmatch(texts["dataset-nethash"])
    if member is None:
        raise _UnreadableRowError(f"dataset-nethash {texts['dataset-nethash']!r} is not a data set and an MD5.")
    rows = parse_netstring(texts["netstring"])
    digest = hashlib.md5(_hashed_text(rows).encode(), usedforsecurity=False).hexdigest()
    if digest != member["digest"]:
        raise _UnreadableRowError(f"its network does not have the MD5 {member['digest']} of its key.")
    try:
        architecture = canonical(decode(rows), LeafMerge.PAIRWISE)
    except ArchitectureError as error:
        raise _UnreadableRowError(f"not an architecture: {error}") from error
    key = EvaluationKey(
        architecture_id=architecture_id(architecture, LeafMerge.PAIRWISE),
        data=f"{ESTIMATOR}:{member['data']}",
        epochs=0,
        resolution=0,
        samples=0,
        estimator=estimator,
        seed=0,
    )
    text = format_architecture(architecture)
    return StoredEvaluation(key, text, member["data"], _outcome(texts), created_at=_time(texts["timestamp"]))


def parse_netstring(text: str) -> list[list[int]]:
    """Return the rows of an NSC array as NumPy prints it: `[[0 0 0 0 0]\\n [1 1 3 0 0]]`."""
    if not _NETSTRING.fullmatch(text) or not text.startswith("[["):
        raise _UnreadableRowError(f"netstring {text[:40]!r} is not a printed array of whole numbers.")
    rows = [[int(word) for word in part.split()] for part in re.findall(r"\[([\d\s]*)\]", text)]
    if any(len(row) != 5 for row in rows):
        raise _UnreadableRowError(f"netstring {text[:40]!r} has rows that are not five numbers.")
    if len(rows) > _MAX_ROWS:
        raise _UnreadableRowError(f"netstring has {len(rows)} rows; NASGym's have at most {_MAX_ROWS}.")
    return rows


def _hashed_text(rows: list[list[int]]) -> str:
    """Return the text of which NASGym's keys hold the MD5."""
    return "".join("-".join(map(str, row)) + ";" for row in rows)


def _outcome(texts: Mapping[str, str]) -> Outcome:
    numbers = {}
    for name in ("accuracy", "density", "flops", "running_time"):
        try:
            numbers[name] = float(texts[name])
        except ValueError as error:
            raise _UnreadableRowError(f"{name} {texts[name]!r} is not a number.") from error
        if not 0 <= numbers[name] < _MAX_NUMBER:
            raise _UnreadableRowError(f"{name} {texts[name]!r} is not a number from 0 to 2^63.")
    metrics = Metrics(seconds=numbers["running_time"], flops=int(numbers["flops"]), density=numbers["density"])
    valid = texts["is_valid"].lower()
    if valid in _FALSE:
        return Failed(FailureKind.INVALID, INVALID, metrics)
    if valid not in _TRUE:
        raise _UnreadableRowError(f"is_valid {texts['is_valid']!r} is neither True nor False.")
    if numbers["accuracy"] > 1:
        raise _UnreadableRowError(f"accuracy {texts['accuracy']!r} is above 1.")
    return Completed(numbers["accuracy"], metrics)


def _time(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise _UnreadableRowError(f"timestamp {text!r} is not a time such as 2019-05-01 13:45:00.") from error
