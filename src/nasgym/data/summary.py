"""What a person wants to know of a data set before searching on it."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nasgym.data.dataset import ImageDataset, refuse
from nasgym.data.duplicates import near_duplicates
from nasgym.data.records import Dropped, Part
from nasgym.data.splits import SplitRules, make_split


@dataclass(frozen=True, slots=True)
class NearCopy:
    """A held-out image and its near copy, by path.

    Attributes:
        path: of the held-out image.
        side: where it lies.
        copy_path: of the near copy.
        copy_side: where that lies.
        difference: root-mean-square difference of their thumbnails, in [0, 1].
        exact: whether the files hold the same bytes.
    """

    path: str
    side: Part
    copy_path: str
    copy_side: Part
    difference: float
    exact: bool


@dataclass(frozen=True)
class DataSummary:
    """Facts about a data set.

    Attributes:
        name: what people call it.
        fingerprint: of its content at this size.
        images: number of images.
        size: side of the images as read, pixels.
        channels: 1 for grey, 3 for colour.
        original_sizes: least, median and largest (height, width) before resizing, by area.
        classes: images by class name.
        balance: entropy of the classes over its maximum, in [0, 1].
        split_kind: "official", "grouped" or "stratified", as the split was made.
        split: images by side.
        near_duplicates: near copies on two sides.
        problems: files and classes that were left out.
    """

    name: str
    fingerprint: str
    images: int
    size: int
    channels: int
    original_sizes: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    classes: dict[str, int]
    balance: float
    split_kind: str
    split: dict[str, int]
    near_duplicates: tuple[NearCopy, ...]
    problems: tuple[Dropped, ...]

    @property
    def exact(self) -> int:
        """Near copies that are the same file."""
        return sum(pair.exact for pair in self.near_duplicates)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def summarise(dataset: ImageDataset, rules: SplitRules, *, strict: bool = False) -> DataSummary:
    """Return the summary of a data set under a split.

    Raises:
        DataError: it cannot be split, or (strict) classes are too small for the split.
    """
    result = make_split(dataset, rules)
    if strict and result.dropped:
        raise refuse(dataset.name, result.dropped)
    counts = np.bincount(dataset.labels, minlength=dataset.n_classes)
    shares = counts / counts.sum()
    by_area = dataset.originals[np.argsort(dataset.originals.astype(np.int64).prod(axis=1), kind="stable")]
    least, median, most = (tuple(by_area[place].tolist()) for place in (0, len(by_area) // 2, -1))
    grouped = rules.group_pattern is not None or dataset.groups is not None
    kinds = (["official"] if dataset.official_split is not None and rules.official else []) + ["grouped"] * grouped
    return DataSummary(
        name=dataset.name,
        fingerprint=dataset.fingerprint,
        images=len(dataset),
        size=dataset.shape[0],
        channels=dataset.shape[2],
        original_sizes=(least, median, most),
        classes=dict(zip(dataset.class_names, counts.tolist(), strict=True)),
        balance=float(-np.sum(shares * np.log(shares)) / np.log(len(counts))),
        split_kind=" and ".join(kinds) or "stratified",
        split={part.value: len(side) for part, side in zip(Part, result.split.sides(), strict=True)},
        near_duplicates=tuple(
            NearCopy(
                path=str(dataset.paths[pair.image]),
                side=pair.side,
                copy_path=str(dataset.paths[pair.copy]),
                copy_side=pair.copy_side,
                difference=round(pair.difference, 6),
                exact=pair.exact,
            )
            for pair in near_duplicates(dataset, result.split)
        ),
        problems=dataset.problems + result.dropped,
    )
