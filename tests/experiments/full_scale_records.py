"""Records as meta-dataset's conversion leaves them, of real images that stand in for those of its sets."""

import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image, ImageOps

from nasgym.data.tfrecord import tfrecord_bytes

QUALITY = 95


@dataclass(frozen=True)
class Stand:
    """What stands in for a set of meta-dataset.

    Attributes:
        archive: below the folder of the images.
        classes: how many; the first by name.
        each: images of a class.
        inverted: whether ink becomes white on black, as the conversion of omniglot has it.
    """

    archive: str
    classes: int
    each: int
    inverted: bool = False


SETS = {
    "omniglot": Stand("omniglot/images_background_small1.zip", 20, 8, inverted=True),
    "vgg_flower": Stand("flowers5/flowers5.tar.xz", 5, 30),
    "dtd": Stand("dtd10/dtd10.tar.xz", 10, 15),
    "aircraft": Stand("sign_digits/sign_digits.tar.xz", 10, 15),
    "cu_birds": Stand("cifar10/cifar10_test.tar.xz", 10, 15),
    "traffic_sign": Stand("traffic_sign/traffic_sign.tar.xz", 20, 8),
}
"""By the name of the set: `configs/paper/common.toml`."""


def write_records(images: Path, records: Path) -> dict[str, int]:
    """Write `records/SET/0.tfrecords`, … and `dataset_spec.json` for every set; return how many images each has."""
    return {name: _write_set(name, stand, images / stand.archive, records / name) for name, stand in SETS.items()}


def _write_set(name: str, stand: Stand, archive: Path, folder: Path) -> int:
    """Write one file of records a class, and the description of the set."""
    folder.mkdir(parents=True)
    taken: dict[str, list[bytes]] = {}
    for path, content in _members(archive):
        label = str(path.parent)
        if label not in taken and len(taken) == stand.classes:
            continue
        pictures = taken.setdefault(label, [])
        if len(pictures) < stand.each:
            pictures.append(_jpeg(content, inverted=stand.inverted))
    for number, pictures in enumerate(taken.values()):
        content = b"".join(tfrecord_bytes(picture, number) for picture in pictures)
        (folder / f"{number}.tfrecords").write_bytes(content)
    specification = {
        "name": name,
        "class_names": {str(number): label for number, label in enumerate(taken)},
        "images_per_class": {str(number): len(pictures) for number, pictures in enumerate(taken.values())},
        "file_pattern": "{}.tfrecords",
    }
    (folder / "dataset_spec.json").write_text(json.dumps(specification))
    return sum(map(len, taken.values()))


def _members(archive: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Yield path and content of the images of an archive, class by class in the order of their names."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as opened:
            for name in sorted(opened.namelist()):
                if name.endswith(".png"):
                    yield PurePosixPath(name), opened.read(name)
        return
    with tarfile.open(archive) as opened:
        contents = {
            member.name: file.read()
            for member in opened
            if member.name.endswith((".jpg", ".png")) and (file := opened.extractfile(member)) is not None
        }
    for name in sorted(contents):
        yield PurePosixPath(name), contents[name]


def _jpeg(content: bytes, *, inverted: bool) -> bytes:
    """Return an image file as the conversion has it: RGB JPEG in its own size."""
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    file = io.BytesIO()
    (ImageOps.invert(picture) if inverted else picture).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
