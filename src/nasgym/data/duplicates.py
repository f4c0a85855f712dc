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
    train, validation, test = (Part.TRAIN, split.train), (Part.VALIDATION, split.validation), (Part.TEST, split.test)
    found: list[NearDuplicate] = []
    for held, other in ((validation, train), (test, train), (test, validation)):
        if len(held[1]) and len(other[1]):
            found += _between(dataset, held, other)
    return tuple(found)


def _between(dataset: ImageDataset, held: tuple[Part, Indices], other: tuple[Part, Indices]) -> list[NearDuplicate]:
    from scipy.spatial import cKDTree

    (side, rows), (copy_side, copies) = held, other
    fine, fine_copies = (thumbnails(dataset.images, which, _FINE).mean(axis=3) for which in (rows, copies))
    coarse, coarse_copies = (_coarse(values) for values in (fine, fine_copies))
    tree = cKDTree(coarse_copies)
    neighbours = min(_CANDIDATES, len(copies))
    _, nearest = tree.query(coarse, k=neighbours, distance_upper_bound=TOLERANCE * 1.0001)
    nearest = np.reshape(nearest, (len(rows), neighbours))
    found: list[NearDuplicate] = []
    for place in np.flatnonzero((nearest < len(copies)).any(axis=1)).tolist():
        candidates = nearest[place][nearest[place] < len(copies)]
        differences = np.sqrt(np.mean((fine_copies[candidates] - fine[place]) ** 2, axis=(1, 2)))
        best = int(np.argmin(differences))
        if differences[best] <= min(TOLERANCE, RELATIVE_TOLERANCE * float(fine[place].std())):
            image, copy = int(rows[place]), int(copies[candidates[best]])
            exact = bool((dataset.digests[image] == dataset.digests[copy]).all())
            found.append(NearDuplicate(image, side, copy, copy_side, float(differences[best]), exact))
    return found


def _coarse(fine: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return block means as points whose distance is the root-mean-square difference of the blocks."""
    n, cells, _ = fine.shape
    blocks = _COARSE if cells % _COARSE == 0 else 1
    step = cells // blocks
    means: NDArray[np.float32] = fine.reshape(n, blocks, step, blocks, step).mean(axis=(2, 4))
    return means.reshape(n, -1) / np.float32(blocks)
