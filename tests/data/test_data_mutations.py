"""Damaged archives and images are read as what is left of them, or refused with a `DataError`; nothing else happens."""

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from data_samples import encoded, pictures, pixels, write_tar, write_zip
from PIL import Image

from nasgym.core.errors import DataError
from nasgym.data import Record, load_dataset
from nasgym.data.arrays import read_npy
from nasgym.data.pixels import UnreadableImageError, decode
from nasgym.data.tfrecord import tfrecord_bytes


def mutated(content: bytes, seed: int) -> bytes:
    """Return the bytes with a few of them changed, removed, doubled or cut off."""
    random = np.random.default_rng(seed)
    data = bytearray(content)
    for _ in range(random.integers(1, 5)):
        place = int(random.integers(len(data)))
        match int(random.integers(4)):
            case 0:
                data[place] = int(random.integers(256))
            case 1:
                del data[place : place + int(random.integers(1, 64))]
            case 2:
                data[place:place] = data[place : place + int(random.integers(1, 64))]
            case _:
                data = data[: max(1, place)] if random.random() < 0.3 else data
        if not data:
            return b""
    return bytes(data)


def archive_bytes(kind: str, folder: Path) -> bytes:
    files = pictures(each=4)
    path = folder / f"whole{kind}"
    match kind:
        case ".zip":
            write_zip(path, files, zipfile.ZIP_STORED)
        case ".npz":
            with path.open("wb") as file:
                np.savez(
                    file,
                    x=np.stack([pixels(i) for i in range(8)]),
                    y=np.arange(8) % 2,
                    class_names=np.array(["a", "b"]),
                )
        case ".tfrecords":
            path.write_bytes(b"".join(tfrecord_bytes(encoded(pixels(i)), i % 2) for i in range(8)))
        case ".csv":
            path.write_text("f0,f1,f2,f3,label\n" + "".join(f"{i},1,2,3,{i % 2}\n" for i in range(8)))
        case _:
            write_tar(path, files, {".tar": "w", ".tar.gz": "w:gz", ".tar.xz": "w:xz", ".tar.bz2": "w:bz2"}[kind])
    return path.read_bytes()


KINDS = (".zip", ".tar", ".tar.gz", ".tar.xz", ".tar.bz2", ".npz", ".tfrecords", ".csv")


@pytest.mark.parametrize("kind", KINDS)
def test_a_mutated_archive_is_read_or_refused(kind, tmp_path):
    content = archive_bytes(kind, tmp_path)
    refusals: list[str] = []
    for seed in range(60):
        path = tmp_path / f"{seed}{kind}"
        path.write_bytes(mutated(content, seed))
        try:
            dataset = load_dataset(path, size=8, cache_dir=tmp_path / "cache")
        except DataError as error:
            refusals.append(str(error) if str(seed) in str(error) else "")
        else:
            assert dataset.n_classes >= 2
            assert len(dataset.labels) == len(dataset.images)
    assert refusals
    assert all(refusals), "a refusal does not name its file"


def test_a_mutated_array_is_read_or_refused():
    stream = io.BytesIO()
    np.save(stream, np.stack([pixels(i) for i in range(4)]))
    refusals = 0
    for seed in range(300):
        try:
            array = read_npy(mutated(stream.getvalue(), seed), "a.npy")
        except DataError:
            refusals += 1
        else:
            assert array.nbytes <= len(stream.getvalue()) + 256
    assert refusals > 100


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "ICO"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_mutated_image_is_decoded_or_dropped(form):
    stream = io.BytesIO()
    Image.fromarray(pixels(0, 24, 3)).save(stream, form)
    outcomes = {True: 0, False: 0}
    for seed in range(60):
        try:
            result = decode(Record("a", mutated(stream.getvalue(), seed)), 8)
        except (UnreadableImageError, DataError):
            outcomes[False] += 1
        else:
            outcomes[True] += 1
            assert result.shape[:2] == (8, 8)
            assert result.dtype == np.uint8
    assert outcomes[False] + outcomes[True] == 60


def test_a_tar_of_random_members_is_read_or_refused(tmp_path):
    for seed in range(30):
        random = np.random.default_rng(seed)
        path = tmp_path / f"{seed}.tar"
        with tarfile.open(path, "w") as archive:
            for _ in range(6):
                member = tarfile.TarInfo("/".join(random.choice(["a", "..", "b", ".", "", "c.png"], 3)) or "x")
                member.type = random.choice([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE])
                archive.addfile(member)
        with pytest.raises(DataError, match=str(seed)):
            load_dataset(path, size=8, cache_dir=tmp_path / "cache")
