"""A picture of a data set: some images of every class."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from nasgym.core.errors import DataError
from nasgym.data.dataset import ImageDataset

_PER_CLASS, _MOST_CLASSES, _LEAST_SIDE, _MARGIN, _FONT, _LETTER = 12, 200, 32, 4, 12, 7


def contact_sheet(dataset: ImageDataset) -> Image.Image:
    """Return a row a class (the first 200): its name, then 12 images spread evenly over its content order."""
    classes = range(min(dataset.n_classes, _MOST_CLASSES))
    factor = -(-_LEAST_SIDE // dataset.shape[0])
    pitch = dataset.shape[0] * factor + _MARGIN
    left = _MARGIN + _LETTER * max(len(dataset.class_names[label]) for label in classes) + _MARGIN
    sheet = Image.new("RGB", (left + _PER_CLASS * pitch, _MARGIN + len(classes) * pitch), "white")
    draw = ImageDraw.Draw(sheet)
    for row, label in enumerate(classes):
        top = _MARGIN + row * pitch
        draw.text((_MARGIN, top + (pitch - _FONT) // 2), dataset.class_names[label], fill="black", font_size=_FONT)
        members = np.flatnonzero(dataset.labels == label)
        count = min(_PER_CLASS, len(members))
        for column, place in enumerate(np.arange(count) * len(members) // count):
            pixels = dataset.images[members[place]].repeat(factor, axis=0).repeat(factor, axis=1)
            image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
            sheet.paste(image, (left + column * pitch, top))
    return sheet


def save_contact_sheet(dataset: ImageDataset, path: Path) -> None:
    """Write the contact sheet; the suffix tells the format.

    Raises:
        DataError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        contact_sheet(dataset).save(path)
    except (OSError, ValueError) as error:
        raise DataError(f"Cannot write the contact sheet {path}: {error}. Choose a .png file elsewhere.") from error
