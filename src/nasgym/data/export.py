"""Writing a data set for other programs: npz, CSV, TFRecord."""

import csv
import io
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nasgym.core.errors import DataError
from nasgym.data.dataset import ImageDataset
from nasgym.data.decoding import PARTS
from nasgym.data.tfrecord import tfrecord_bytes


class ExportFormat(StrEnum):
    """What to write."""

    NPZ = "npz"
    """Arrays `x` (n, size, size, channels) uint8, `y` int64, `class_names`; `split` and `groups` if there are any."""
    CSV = "csv"
    """A row an image: `f0 … fn` in [0, 1], row by row, channels last, then `label`, a number; as NASGym's exporter."""
    TFRECORD = "tfrecord"
    """meta-dataset's features `image` (JPEG, quality 95) and `label`; class names in a text file beside it."""


def export(
    dataset: ImageDataset, path: Path, file_format: ExportFormat, progress: Callable[[int], None] | None = None
) -> None:
    """Write `dataset` to `path`.

    Raises:
        DataError: the file cannot be written, or the extra `tfrecord` is not installed.
    """
    write = {ExportFormat.NPZ: _npz, ExportFormat.CSV: _csv, ExportFormat.TFRECORD: _tfrecord}[file_format]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.writing")
        try:
            write(dataset, draft, progress or (lambda _: None))
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        if file_format is ExportFormat.TFRECORD:
            path.with_name(path.name + ".classes.txt").write_text("\n".join(dataset.class_names) + "\n", "utf-8")
    except OSError as error:
        raise DataError(f"Cannot write {path}: {error.strerror}. Free some space, or choose another --out.") from error


def _npz(dataset: ImageDataset, path: Path, progress: Callable[[int], None]) -> None:
    arrays: dict[str, Any] = {
        "x": dataset.images,
        "y": dataset.labels,
        "class_names": np.array(dataset.class_names, np.str_),
    }
    if dataset.official_split is not None:
        arrays["split"] = np.array([PARTS[side].value for side in dataset.official_split], np.str_)
    if dataset.groups is not None:
        arrays["groups"] = dataset.groups
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    progress(len(dataset))


def _csv(dataset: ImageDataset, path: Path, progress: Callable[[int], None]) -> None:
    values = [format(level / 255, ".6g") for level in range(256)]
    features = int(np.prod(dataset.shape))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*(f"f{index}" for index in range(features)), "label"])
        for index, (image, label) in enumerate(zip(dataset.images, dataset.labels.tolist(), strict=True)):
            writer.writerow([*(values[level] for level in image.ravel().tolist()), label])
            progress(index + 1)


def _tfrecord(dataset: ImageDataset, path: Path, progress: Callable[[int], None]) -> None:
    with path.open("wb") as file:
        for index, (image, label) in enumerate(zip(dataset.images, dataset.labels.tolist(), strict=True)):
            content = io.BytesIO()
            Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(
                content, "JPEG", quality=95, subsampling=0
            )
            file.write(tfrecord_bytes(content.getvalue(), label))
            progress(index + 1)
