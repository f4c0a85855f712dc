"""Splits into training, validation and test images: by content and seed, official if there is one, groups whole."""

import hashlib
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from nasgym.core.errors import DataError, nearest
from nasgym.core.randomness import stream
from nasgym.data.dataset import ImageDataset
from nasgym.data.decoding import PARTS
from nasgym.data.labelling import groups_of
from nasgym.data.records import Dropped

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Split:
    """Which images of a data set are on which side; equal when the indices are.

    Attributes:
        train: indices of the training images, sorted.
        validation: indices of the images that a search ranks networks by, sorted.
        test: indices of the images that are used for reporting only, sorted; may be empty.
    """

    train: Indices
    validation: Indices
    test: Indices

    def __post_init__(self) -> None:
        for side in self.sides():
            side.setflags(write=False)

    def sides(self) -> tuple[Indices, Indices, Indices]:
        """Return train, validation and test."""
        return self.train, self.validation, self.test

    @property
    def fingerprint(self) -> str:
        """Hash of the indices."""
        digest = hashlib.blake2b(digest_size=16)
        for side in self.sides():
            digest.update(len(side).to_bytes(8, "big") + side.astype(">i8").tobytes())
        return digest.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Split) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)


@dataclass(frozen=True, slots=True)
class SplitRules:
    """How a data set is split.

    The paper's split (SPEC §4) is `SplitRules(seed=32, fractions=(0.67, 0.33, 0.0))`.

    Attributes:
        seed: of the draw.
        fractions: of training, validation and test images; a side may be 0, except training.
        group_pattern: see `group_regex`; `None` for the groups of the source, if it has any.
        classes: names or patterns (`bangla/*`) of the classes that take part; `None` for all.
        max_per_class: images a class, drawn before splitting; `None` for all.
        max_images: images in all, drawn evenly from the classes before splitting; `None` for all.
        official: whether to honour the split of the source, if it has one.
    """

    seed: int = 0
    fractions: tuple[float, float, float] = (0.6, 0.2, 0.2)
    group_pattern: str | None = None
    classes: tuple[str, ...] | None = None
    max_per_class: int | None = None
    max_images: int | None = None
    official: bool = True

    def __post_init__(self) -> None:
        if len(self.fractions) != 3 or min(self.fractions) < 0 or not np.isclose(sum(self.fractions), 1):
            raise DataError(
                f"Fractions {self.fractions} must be three numbers from 0 that sum to 1, such as 0.6, 0.2, 0.2."
            )
        if self.fractions[0] == 0 or self.fractions[1] == self.fractions[2] == 0:
            raise DataError(f"Fractions {self.fractions} leave nothing to train on, or nothing to judge by.")
        for name, value in (("max_per_class", self.max_per_class), ("max_images", self.max_images)):
            if value is not None and value < 1:
                raise DataError(f"{name}={value} leaves no images; give at least 1, or None for all.")


@dataclass(frozen=True)
class SplitResult:
    """A split, and what could not take part.

    Attributes:
        split: the images on each side.
        classes: labels, in the data set, of the classes that take part.
        dropped: classes that are too small.
    """

    split: Split
    classes: tuple[int, ...]
    dropped: tuple[Dropped, ...]


def make_split(dataset: ImageDataset, rules: SplitRules) -> SplitResult:
    """Split a data set. Every class is spread over the sides as the fractions say, and lies on each side at least once.

    The draw of a class depends on the seed, its name and the content of its images only: not on other classes, the
    order of the files, or the machine. With an official split of train and test, validation is drawn from train; of
    train and validation, test is drawn from train; sides whose fraction is 0 are not drawn. Groups are drawn together
    over all classes: to the side that lacks most of what a group holds, larger groups first.

    Raises:
        DataError: an unknown class, a group pattern that does not fit, or fewer than two classes remain.
    """
    groups = _groups(dataset, rules)
    official = dataset.official_split if rules.official else None
    given = np.full(len(dataset), -1, np.int8) if official is None else official
    chosen = [
        _cap(np.flatnonzero(dataset.labels == label), limit, given, rules.seed, dataset.class_names[label])
        for label, limit in _limits(dataset, rules).items()
    ]
    rows = np.sort(np.concatenate(chosen))
    fixed, fractions = _fixed_sides(given[rows], rules.fractions)
    sides = np.full(len(dataset), -1, np.int8)
    sides[rows] = fixed
    free = rows[fixed < 0]
    if groups is not None:
        sides[free] = _draw_groups(dataset.labels[free], groups[free], fractions, rules.seed)
    else:
        for label in np.unique(dataset.labels[free]):
            members = free[dataset.labels[free] == label]
            sides[members] = _draw(len(members), fractions, rules.seed, dataset.class_names[label])
    return _without_small_classes(dataset, rows, sides, rules)


def _groups(dataset: ImageDataset, rules: SplitRules) -> NDArray[np.str_] | None:
    """Return the group of every image; an image without one is a group of its own."""
    if rules.group_pattern is not None:
        return np.array(groups_of(dataset.paths.tolist(), rules.group_pattern), np.str_)
    if dataset.groups is None:
        return None
    alone = np.char.add("\0", np.arange(len(dataset)).astype(np.str_))
    return np.where(dataset.groups == "", alone, dataset.groups)


def _limits(dataset: ImageDataset, rules: SplitRules) -> dict[int, int]:
    """Return how many images each class that takes part may give."""
    labels = _chosen_labels(dataset, rules.classes)
    counts = np.bincount(dataset.labels, minlength=dataset.n_classes)
    limits = {label: min(int(counts[label]), rules.max_per_class or int(counts[label])) for label in labels}
    total = sum(limits.values())
    if rules.max_images is None or total <= rules.max_images:
        return limits
    return {label: max(1, limit * rules.max_images // total) for label, limit in limits.items()}


def _chosen_labels(dataset: ImageDataset, patterns: tuple[str, ...] | None) -> list[int]:
    if patterns is None:
        return list(range(dataset.n_classes))
    for pattern in patterns:
        if not any(name == pattern or fnmatchcase(name, pattern) for name in dataset.class_names):
            raise DataError(f"{dataset.name} has no class {pattern!r}.{nearest(pattern, dataset.class_names)}")
    return [
        label
        for label, name in enumerate(dataset.class_names)
        if any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)
    ]


def _cap(rows: Indices, limit: int, given: NDArray[np.int8], seed: int, name: str) -> Indices:
    """Draw `limit` of the images of a class, in the proportions of the official sides."""
    if limit >= len(rows):
        return rows
    shuffled = stream(seed, "cap", name).permutation(rows)
    by_side = shuffled[np.argsort(given[shuffled], kind="stable")]
    picked: Indices = by_side[np.arange(limit) * len(rows) // limit]
    return picked


def _fixed_sides(
    given: NDArray[np.int8], fractions: tuple[float, float, float]
) -> tuple[NDArray[np.int8], tuple[float, float, float]]:
    """Return the sides that are official, −1 where one is to be drawn, and the fractions to draw with."""
    present = set(given.tolist())
    train, validation, test = fractions
    missing = [side for side in (1, 2) if side not in present]
    if present == {-1} or not missing:
        return given, fractions
    wanted = (train, validation, 0.0) if missing == [1] else (train, 0.0, test)
    if sum(wanted[1:]) == 0:
        return given, fractions
    return np.where(given == 0, np.int8(-1), given), wanted


def _draw(n: int, fractions: tuple[float, float, float], seed: int, name: str) -> NDArray[np.int8]:
    """Return a side for each of `n` images of a class: shares rounded, at least one each while there are enough."""
    shares = np.array(fractions) / sum(fractions)
    counts = np.where(shares > 0, np.maximum(1, np.floor(shares * n + 0.5)), 0).astype(np.int64)
    counts[0] = max(0, n - counts[1] - counts[2])
    order = stream(seed, "split", name).permutation(n)
    sides = np.zeros(n, np.int8)
    sides[order[counts[0] : counts[0] + counts[1]]] = 1
    sides[order[counts[0] + counts[1] :]] = 2
    return sides


def _draw_groups(
    labels: Indices, groups: NDArray[np.str_], fractions: tuple[float, float, float], seed: int
) -> NDArray[np.int8]:
    """Return a side for each image such that no group is torn: groups go, in an order drawn by seed and the larger ones
    first, to the side that lacks most of what they hold.
    """
    names, owner = np.unique(groups, return_inverse=True)
    classes, own_class = np.unique(labels, return_inverse=True)
    content = np.zeros((len(names), len(classes)))
    np.add.at(content, (owner, own_class), 1)
    shares = np.array(fractions) / sum(fractions)
    wanted = np.outer(shares, content.sum(axis=0))
    open_sides = np.flatnonzero(shares)
    held = np.zeros_like(wanted)
    order = stream(seed, "groups").permutation(len(names))
    side_of = np.zeros(len(names), np.int8)
    for group in order[np.argsort(-content[order].sum(axis=1), kind="stable")]:
        lacking = (wanted[open_sides] - held[open_sides]) / wanted[open_sides]
        weight = content[group] / content.sum(axis=0)
        side = open_sides[np.argmax(lacking @ weight)]
        side_of[group] = side
        held[side] += content[group]
    return side_of[owner]


def _without_small_classes(
    dataset: ImageDataset, rows: Indices, sides: NDArray[np.int8], rules: SplitRules
) -> SplitResult:
    """Keep the classes that lie on every side that is asked for or given.

    Raises:
        DataError: fewer than two are left.
    """
    needed = [side for side in range(3) if rules.fractions[side] > 0 or (sides == side).any()]
    labels = np.unique(dataset.labels[rows])
    kept, dropped = [], []
    for label in labels.tolist():
        on_side = np.bincount(sides[rows][dataset.labels[rows] == label], minlength=3)
        if all(on_side[side] > 0 for side in needed):
            kept.append(label)
        else:
            counts = ", ".join(f"{on_side[side]} {PARTS[side]}" for side in needed)
            dropped.append(Dropped(f"class {dataset.class_names[label]!r}", f"too small for the split ({counts})"))
    if len(kept) < 2:
        reasons = "".join(f"\n  {drop}" for drop in dropped[:5])
        raise DataError(
            f"{dataset.name}: {len(kept)} of {len(labels)} classes are large enough for the split, two are needed."
            f"{reasons}\nGive more images a class, smaller groups, or a fraction of 0 for a side you can do without."
        )
    usable = np.isin(dataset.labels, kept)
    train, validation, test = (np.flatnonzero(usable & (sides == side)) for side in range(3))
    return SplitResult(Split(train, validation, test), tuple(kept), tuple(dropped))
