"""Near copies on two sides of a split: they make accuracies look better than they are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nasgym.data.dataset import ImageDataset
from nasgym.data.records import Part
from nasgym.data.splits import Indices, Split
from nasgym.data.thumbnails import thumbnails

TOLERANCE = 0.025
"""Largest root-mean-square difference of two near copies, as a fraction of the range from black to white …"""
RELATIVE_TOLERANCE = 0.25
"""… and of the standard deviation within the image, so that two dark images are not copies of each other."""

_SAME = 0.001
"""Differences below a quarter of a grey level are none, also in images of one colour."""
_FINE, _COARSE, _CANDIDATES = 16, 4, 8


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """A held-out image and its closest near copy on another side.

    Attributes:
        image: index of the held-out image in the data set.
        side: where it lies.
        copy: index of the near copy.
        copy_side: where that lies.
        difference: root-mean-square difference of 16 × 16 grey thumbnails, in [0, `TOLERANCE`].
        exact: whether the two files hold the same bytes.
    """

    image: int
    side: Part
    copy: int
    copy_side: Part
    difference: float
    exact: bool


def near_duplicates(dataset: ImageDataset, split: Split) -> tuple[NearDuplicate, ...]:
    """Return the images of validation that have a near copy in train, and those of test that have one in either.

    Two images are near copies if their 16 × 16 grey thumbnails differ by at most `TOLERANCE` and `RELATIVE_TOLERANCE`.
    Candidates are the nearest in 4 × 4 means, whose difference is never larger, so that pairs far apart are never
    compared.
    """
    train, validation, test = (
        _Side(part, rows, thumbnails(dataset.images, rows, _FINE).mean(axis=3))
        for part, rows in zip(Part, split.sides(), strict=True)
    )
    found: list[NearDuplicate] = []
    for held, other in ((validation, train), (test, train), (test, validation)):
        if len(held.rows) and len(other.rows):
            found += _between(dataset, held, other)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Side:
    part: Part
    rows: Indices
    fine: NDArray[np.float32]


def _between(dataset: ImageDataset, held: _Side, other: _Side) -> list[NearDuplicate]:
    from scipy.spatial import cKDTree

    neighbours = min(_CANDIDATES, len(other.rows))
    tree = cKDTree(_coarse(other.fine))
    _, nearest = tree.query(_coarse(held.fine), k=neighbours, distance_upper_bound=TOLERANCE * 1.0001)
    nearest = np.reshape(nearest, (len(held.rows), neighbours))
    found: list[NearDuplicate] = []
    for place in np.flatnonzero((nearest < len(other.rows)).any(axis=1)).tolist():
        candidates = nearest[place][nearest[place] < len(other.rows)]
        differences = np.sqrt(np.mean((other.fine[candidates] - held.fine[place]) ** 2, axis=(1, 2)))
        best = int(np.argmin(differences))
        relative = RELATIVE_TOLERANCE * float(held.fine[place].std())
        if differences[best] <= min(TOLERANCE, max(relative, _SAME)):
            image, copy = int(held.rows[place]), int(other.rows[candidates[best]])
            exact = bool((dataset.digests[image] == dataset.digests[copy]).all())
            found.append(NearDuplicate(image, held.part, copy, other.part, float(differences[best]), exact))
    return found


def _coarse(fine: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return block means as points whose distance is the root-mean-square difference of the blocks."""
    n, cells, _ = fine.shape
    blocks = _COARSE if cells % _COARSE == 0 else 1
    step = cells // blocks
    means: NDArray[np.float32] = fine.reshape(n, blocks, step, blocks, step).mean(axis=(2, 4))
    return means.reshape(n, -1) / np.float32(blocks)
