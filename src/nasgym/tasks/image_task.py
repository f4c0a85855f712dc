"""Tasks on real images: a data set, its split, and the classes that take part."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nasgym.data import Dropped, ImageDataset, Part, Source, Split, SplitRules, load_dataset, make_split
from nasgym.data.dataset import refuse
from nasgym.tasks.task import Budget, Fidelity, Task


@dataclass(frozen=True)
class ImageTask(Task):
    """A task that carries its images. Equal when what a `Task` holds is; the images are told by the fingerprint.

    It pickles as the data set's folder and the indices of the split, so that a worker maps the same memory.

    Attributes:
        dataset: the decoded images, shared with every other task on the same data.
        split: which of them are for training, validation and test.
        classes: labels, in the data set, of the classes that take part: label j of the task is `classes[j]`.
        problems: what was left out of the data and of the split.
    """

    dataset: ImageDataset = field(kw_only=True, compare=False, repr=False)
    split: Split = field(kw_only=True, compare=False, repr=False)
    classes: tuple[int, ...] = field(kw_only=True, compare=False, repr=False)
    problems: tuple[Dropped, ...] = field(default=(), kw_only=True, compare=False, repr=False)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names by label of the task."""
        return tuple(self.dataset.class_names[label] for label in self.classes)

    def indices(self, part: Part | str) -> NDArray[np.int64]:
        """Return the indices, in the data set, of one side of the split."""
        return {Part.TRAIN: self.split.train, Part.VALIDATION: self.split.validation, Part.TEST: self.split.test}[
            Part(part)
        ]

    def images(self, part: Part | str) -> NDArray[np.uint8]:
        """Return a copy of the images of one side, `(n, size, size, channels)` uint8."""
        return np.ascontiguousarray(self.dataset.images[self.indices(part)])

    def labels(self, part: Part | str) -> NDArray[np.int64]:
        """Return the labels of one side, `(n,)` int64 in `0 .. n_classes − 1`."""
        return np.searchsorted(np.array(self.classes), self.dataset.labels[self.indices(part)]).astype(np.int64)


def make_task(
    source: str | Path | Source | ImageDataset,
    *,
    size: int = 32,
    seed: int = 0,
    labels: str | Path | None = None,
    group_pattern: str | None = None,
    classes: Sequence[str] | None = None,
    max_per_class: int | None = None,
    max_images: int | None = None,
    fractions: tuple[float, float, float] = (0.6, 0.2, 0.2),
    official: bool = True,
    strict: bool = False,
    cache_dir: str | Path | None = None,
    budget: Budget | None = None,
    fidelity: Fidelity | None = None,
    name: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> ImageTask:
    """Return a task on what a user has: `make_task("photos")`, `make_task("digits", size=16)`.

    Args:
        source: a path, a name ("digits", "hf:NAME"), a `Source`, or a data set that is loaded already.
        size: side of the square images, pixels.
        seed: of the split.
        labels: CSV file with the columns file, label, and optionally split and group.
        group_pattern: what images of a group share in their paths; `{group}_*` for `class/track_frame.jpg`.
        classes: names or patterns of the classes that take part.
        max_per_class: images a class.
        max_images: images in all.
        fractions: of training, validation and test images.
        official: whether to honour the split that the data come with.
        strict: whether anything left out is an error.
        cache_dir: where decoded images are kept.
        budget: what a network may cost.
        fidelity: how thoroughly evaluations are done by default; its resolution is `size` unless given.
        name: what to call the task.
        progress: called with the number of images decoded so far.

    Raises:
        DataError: the data cannot be read or split; names the file, class or value, and the remedy.
    """
    if isinstance(source, ImageDataset):
        dataset = source
    else:
        dataset = load_dataset(source, size=size, labels=labels, strict=strict, cache_dir=cache_dir, progress=progress)
    rules = SplitRules(
        seed=seed,
        fractions=fractions,
        group_pattern=group_pattern,
        classes=None if classes is None else tuple(classes),
        max_per_class=max_per_class,
        max_images=max_images,
        official=official,
    )
    result = make_split(dataset, rules)
    if strict and result.dropped:
        raise refuse(dataset.name, result.dropped)
    return ImageTask(
        name=name or dataset.name,
        fingerprint=task_fingerprint(dataset, result.split),
        input_shape=dataset.shape,
        n_classes=len(result.classes),
        budget=budget or Budget(),
        fidelity=fidelity or Fidelity(epochs=8, resolution=dataset.shape[0]),
        dataset=dataset,
        split=result.split,
        classes=result.classes,
        problems=dataset.problems + result.dropped,
    )


def task_fingerprint(dataset: ImageDataset, split: Split) -> str:
    """Return a hash of the images on each side, their classes, size and channels: the same however they were chosen."""
    digest = hashlib.blake2b(repr(dataset.shape).encode(), digest_size=16)
    for side in split.sides():
        digest.update(len(side).to_bytes(8, "big") + dataset.digests[side].tobytes())
        digest.update("\0".join(dataset.class_names[label] for label in dataset.labels[side].tolist()).encode())
    return digest.hexdigest()
