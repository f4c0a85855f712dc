"""Which class, side of an official split and group an image belongs to, told from its path or from a labels file."""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nasgym.core.errors import DataError, nearest
from nasgym.data.archives import archive_stem
from nasgym.data.records import Dropped, Part

_PART_WORDS = {
    "train": Part.TRAIN,
    "training": Part.TRAIN,
    "val": Part.VALIDATION,
    "valid": Part.VALIDATION,
    "validation": Part.VALIDATION,
    "dev": Part.VALIDATION,
    "test": Part.TEST,
    "testing": Part.TEST,
}
_PART_IN_NAME = re.compile(rf"(?:^|[-_. ])({'|'.join(_PART_WORDS)})(?=$|[-_. ])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Assignment:
    """What is known of one image.

    Attributes:
        label: its class.
        part: its side of the official split, or `None`.
        group: what it must not be torn from, or `None`.
    """

    label: str
    part: Part | None = None
    group: str | None = None


def part_word(word: str) -> Part | None:
    """Return the side a folder or value names: "train", "training", "val", "validation", "test" …"""
    return _PART_WORDS.get(word.strip().lower())


def part_in_name(stem: str) -> tuple[Part | None, str]:
    """Return the side that a file's stem names, and the stem without it.

    >>> part_in_name("bangla-training")
    (<Part.TRAIN: 'train'>, 'bangla')
    """
    match = _PART_IN_NAME.search(stem)
    if match is None:
        return None, stem
    rest = (stem[: match.start()] + stem[match.end() :]).strip("-_. ")
    return _PART_WORDS[match.group(1).lower()], rest


def from_folders(paths: Sequence[tuple[str, str]]) -> list[Assignment | Dropped]:
    """Return class and side of each image from its folders; `paths` holds (path, container) pairs.

    Folders that all images of a container share are left out, except the last one. If the top folders are all named
    after sides of a split, and at least two, they are the official split. What remains is the class: nested folders are
    joined with "/". A container without folders gives its own folder, or else its name, as the class, if there are
    several containers; if the names of all containers tell different sides, they are the official split.

    Args:
        paths: path of each image within its container, and path of that archive ("" for a plain folder).
    """
    folders = [PurePosixPath(path).parts[:-1] for path, _ in paths]
    containers = [container for _, container in paths]
    shared = {
        name: _shared_prefix([parts for parts, own in zip(folders, containers, strict=True) if own == name])
        for name in set(containers)
    }
    inner = [parts[shared[name] :] for parts, name in zip(folders, containers, strict=True)]
    by_container = {name: part_in_name(archive_stem(name))[0] if name else None for name in shared}
    official_containers = None not in by_container.values() and len(set(by_container.values())) > 1
    tops = {parts[0] for parts in inner if len(parts) > 1}
    official_folders = (
        len({part_word(top) for top in tops}) > 1
        and all(part_word(top) for top in tops)
        and all(len(parts) != 1 or part_word(parts[0]) for parts in inner)
    )
    answers: list[Assignment | Dropped] = []
    for (path, container), parts in zip(paths, inner, strict=True):
        part = by_container[container] if official_containers else None
        if official_folders and parts:
            part, parts = part_word(parts[0]), parts[1:]
        if parts:
            answers.append(Assignment("/".join(parts), part))
        elif len(shared) > 1 and container and not official_containers and not official_folders:
            answers.append(Assignment("/".join(PurePosixPath(container).parts[:-1]) or archive_stem(container)))
        else:
            answers.append(Dropped(path, "lies in no class folder; move it into one, or give a labels file"))
    return answers


def _shared_prefix(folders: Sequence[tuple[str, ...]]) -> int:
    """Return how many leading folders all share, keeping one for the class."""
    distinct = set(folders)
    shortest = min(len(parts) for parts in distinct)
    common = 0
    while common < shortest and len({parts[common] for parts in distinct}) == 1:
        common += 1
    return min(common, max(shortest - 1, 0))


class LabelsFile:
    """A CSV file with the columns `file` and `label`, and optionally `split` and `group`.

    A row names a path relative to the data set; leading folders may be left out where that is unambiguous.
    """

    def __init__(self, path: Path) -> None:
        """Read and check the file.

        Raises:
            DataError: it cannot be read, lacks a column, has an empty cell, or names a file twice.
        """
        self.path = path
        try:
            self.content = path.read_bytes()
            rows = list(csv.DictReader(io.StringIO(self.content.decode("utf-8-sig")), strict=True))
        except OSError as error:
            raise DataError(f"Labels file {path} cannot be read ({error.strerror}).") from error
        except (UnicodeDecodeError, csv.Error) as error:
            raise DataError(
                f"Labels file {path} is not a CSV file in UTF-8 ({error}). Save it again as one."
            ) from error
        self._rows: dict[str, Assignment] = {}
        for line, row in enumerate(rows, start=2):
            self._add(
                line, {(key or "").strip().lower(): (value or "") for key, value in row.items() if key is not None}
            )
        if not self._rows:
            raise DataError(f"Labels file {path} has no rows. Write the header `file,label` and one row an image.")

    def _add(self, line: int, row: dict[str, str]) -> None:
        for column in ("file", "label"):
            if column not in row:
                raise DataError(
                    f"Labels file {self.path} has no column {column!r} (columns: {', '.join(row)})."
                    f"{nearest(column, row)} Its header must be `file,label[,split][,group]`."
                )
            if not row[column].strip():
                raise DataError(f"Labels file {self.path}, line {line}: {column!r} is empty.")
        key = PurePosixPath(row["file"].strip().replace("\\", "/")).as_posix()
        if key in self._rows:
            raise DataError(f"Labels file {self.path}, line {line}: {key!r} is named twice. Keep one row for it.")
        word = row.get("split", "").strip()
        if word and part_word(word) is None:
            raise DataError(
                f"Labels file {self.path}, line {line}: unknown split {word!r}; expected train, validation or test."
            )
        self._rows[key] = Assignment(row["label"].strip(), part_word(word), row.get("group", "").strip() or None)

    def assign(self, paths: Sequence[str]) -> tuple[list[Assignment | Dropped], list[Dropped]]:
        """Return what the file says of each path, and the rows that name no image.

        Raises:
            DataError: a row fits several images.
        """
        keys = [self._key(path) for path in paths]
        used = Counter(key for key in keys if key is not None)
        for key, times in used.items():
            if times > 1:
                first, second, *_ = [path for path, own in zip(paths, keys, strict=True) if own == key]
                raise DataError(
                    f"Labels file {self.path}: {key!r} fits both {first!r} and {second!r}. Write their whole paths."
                )
        answers: list[Assignment | Dropped] = [
            Dropped(path, f"not in {self.path.name}") if key is None else self._rows[key]
            for path, key in zip(paths, keys, strict=True)
        ]
        return answers, [
            Dropped(key, f"named in {self.path.name}, but no such image") for key in self._rows if key not in used
        ]

    def _key(self, path: str) -> str | None:
        parts = PurePosixPath(path).parts
        candidates = ("/".join(parts[start:]) for start in range(len(parts)))
        return next((candidate for candidate in candidates if candidate in self._rows), None)


def group_regex(pattern: str) -> re.Pattern[str]:
    """Return the expression for a group pattern: `{group}` is what images share, `*` anything but "/".

    The whole path within the data set must fit, class folder included; `{group}` takes as much as it can. In
    `{group}_*`, tracks that are numbered anew in every class folder are therefore told apart.

    >>> group_regex("{group}_*").fullmatch("42/00005_00024.jpg")["group"]
    '42/00005'

    Raises:
        DataError: the pattern does not hold `{group}` exactly once.
    """
    if pattern.count("{group}") != 1:
        raise DataError(
            f"Group pattern {pattern!r} must hold {{group}} once; "
            "for files like class/track_frame.jpg it is '{group}_*'."
        )
    wild = {"{group}": "(?P<group>.+)", "*": "[^/]*"}
    return re.compile("".join(wild.get(piece, re.escape(piece)) for piece in re.split(r"(\{group\}|\*)", pattern)))


def groups_of(paths: Sequence[str], pattern: str) -> list[str]:
    """Return the group of each path.

    Raises:
        DataError: the pattern is malformed, or a path does not fit it.
    """
    regex = group_regex(pattern)
    matches = [regex.fullmatch(path) for path in paths]
    strangers = [path for path, match in zip(paths, matches, strict=True) if match is None]
    if strangers:
        raise DataError(
            f"Group pattern {pattern!r} does not fit {len(strangers)} of {len(paths)} files, such as {strangers[0]!r}. "
            "`{group}` is what images share, `*` anything within a name; the class folder is part of the path."
        )
    return [match["group"] for match in matches if match is not None]


def natural_key(text: str) -> tuple[tuple[tuple[int, int | str], ...], str]:
    """Return a sort key under which "2" comes before "10"."""
    pieces = re.split(r"([0-9]+)", text)
    return tuple((0, int(piece)) if piece.isdigit() and piece.isascii() else (1, piece) for piece in pieces), text
