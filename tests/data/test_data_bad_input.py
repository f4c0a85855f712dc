"""Bad input is refused with the name of the culprit and the remedy, or left out and listed; nothing is lost."""

import gzip
import io
import os
import pickle
import re
import stat
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from data_samples import pictures, png, write_folder, write_tar, write_zip

from nasgym.core.errors import DataError
from nasgym.data import ImageDataset, load_dataset
from nasgym.data.archives import Limits, archive_blobs
from nasgym.data.tfrecord import tfrecord_bytes
from unprivileged import error_without_rights


@pytest.fixture
def load(tmp_path: Path):
    def load(source, **options) -> ImageDataset:
        return load_dataset(source, size=8, cache_dir=tmp_path / "cache", **options)

    return load


def test_nothing_at_the_path(load, tmp_path):
    with pytest.raises(DataError, match=r"No file or folder '.*/nowhere', and no data set of that name"):
        load(tmp_path / "nowhere")


def test_an_empty_folder_is_told_what_is_expected(load, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: the folder is empty\. Expected folders of images, one a class"):
        load(tmp_path / "empty")


def test_one_class_is_no_task(load, tmp_path):
    with pytest.raises(DataError, match=r"a: found 6 images of the class 'cat'; .* at least two classes.*labels file"):
        load(write_folder(tmp_path / "a", pictures(("cat",))))


def test_images_outside_of_any_class_folder_are_named(load, tmp_path):
    with pytest.raises(DataError, match=r"found 0 images of no class(.|\n)*loose\.png: lies in no class folder"):
        load(write_folder(tmp_path / "a", {"loose.png": png(1), "other.png": png(2)}))


def test_what_is_no_image_is_left_out_listed_and_counted(load, tmp_path):
    files = pictures() | {
        "cat/text.png": b"hello",
        "cat/empty.jpg": b"",
        "dog/cut.png": png(5, 32)[:300],
        "dog/program.exe": b"MZ",
        "README.md": b"about",
    }
    dataset = load(write_folder(tmp_path / "a", files))
    assert len(dataset) == 12
    assert [(problem.where, problem.why.split(" (")[0], problem.harmless) for problem in dataset.problems] == [
        ("README.md", "not an image", True),
        ("cat/empty.jpg", "the file is empty", False),
        ("cat/text.png", "not an image", False),
        ("dog/cut.png", "corrupt image", False),
        ("dog/program.exe", "not an image", False),
    ]


def test_an_archive_within_an_archive_is_left_out_and_listed(load, tmp_path):
    dataset = load(write_zip(tmp_path / "a.zip", pictures() | {"dog/inner.zip": b"PK"}))
    assert [str(problem) for problem in dataset.problems] == ["dog/inner.zip: an archive within an archive; unpack it"]


def test_strict_refuses_what_would_be_left_out(load, tmp_path):
    folder = write_folder(tmp_path / "a", pictures() | {"cat/text.png": b"hello"})
    with pytest.raises(DataError, match=r"a: 1 files or classes cannot be used(.|\n)*cat/text\.png: not an image"):
        load(folder, strict=True)
    assert len(load(folder)) == 12


def test_what_operating_systems_leave_behind_is_ignored_silently(load, tmp_path):
    litter = {
        "cat/.DS_Store": b"x",
        "cat/Thumbs.db": b"x",
        "__MACOSX/cat/._0.png": b"x",
        ".git/config": b"x",
        "cat/desktop.ini": b"x",
    }
    assert load(write_folder(tmp_path / "a", pictures() | litter)).problems == ()
    assert load(write_zip(tmp_path / "b.zip", pictures() | litter)).problems == ()
    assert load(write_tar(tmp_path / "c.tar", pictures() | litter)).problems == ()


@pytest.mark.parametrize("name", ["../evil.png", "cat/../../evil.png", "/etc/evil.png", "C:/evil.png", "..\\evil.png"])
@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_a_member_that_points_outside_of_its_archive_is_refused_by_name(load, tmp_path, name, write):
    path = write(tmp_path / ("a.zip" if write is write_zip else "a.tar"), pictures() | {name: png(1)})
    with pytest.raises(DataError, match=r"a\.(zip|tar): member '.*evil\.png' points outside of it.*Pack it again"):
        load(path)
    assert not list(tmp_path.rglob("evil.png"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_in_a_tar_are_refused_by_name(load, tmp_path, kind):
    path = write_tar(tmp_path / "a.tar", pictures())
    with tarfile.open(path, "a") as archive:
        member = tarfile.TarInfo("cat/link.png")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(DataError, match=r"a\.tar: member 'cat/link\.png' is a link"):
        load(path)


def test_a_pipe_in_a_tar_is_refused_by_name(load, tmp_path):
    path = write_tar(tmp_path / "a.tar", pictures())
    with tarfile.open(path, "a") as archive:
        member = tarfile.TarInfo("cat/pipe.png")
        member.type = tarfile.FIFOTYPE
        archive.addfile(member)
    with pytest.raises(DataError, match=r"member 'cat/pipe\.png' is a device or pipe"):
        load(path)


def test_a_link_in_a_zip_is_refused_by_name(load, tmp_path):
    path = write_zip(tmp_path / "a.zip", pictures())
    with zipfile.ZipFile(path, "a") as archive:
        member = zipfile.ZipInfo("cat/link.png")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(member, "/etc/passwd")
    with pytest.raises(DataError, match=r"a\.zip: member 'cat/link\.png' is a link"):
        load(path)


def test_an_encrypted_zip_is_refused(load, tmp_path):
    path = write_zip(tmp_path / "a.zip", pictures(), zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02")
    while place >= 0:
        content[place + 8] |= 1
        place = content.find(b"PK\x01\x02", place + 4)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.zip: member 'cat/0\.png' is encrypted\. Unpack it with its password"):
        load(path)


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar.xz"])
def test_an_archive_that_unpacks_to_far_more_than_it_holds_is_refused(tmp_path, name):
    files = pictures() | {"cat/zeros.bmp": bytes(2_000_000)}
    path = write_zip(tmp_path / name, files) if name == "a.zip" else write_tar(tmp_path / name, files, f"w:{name[-2:]}")
    with pytest.raises(
        DataError, match=r"unpacks to more than .* bytes .*decompression bomb\? If you trust it, unpack it"
    ):
        list(archive_blobs(path, limits=Limits(total=1_000_000, ratio=20)))
    with pytest.raises(DataError, match=r"member 'cat/zeros\.bmp' unpacks to 2,000,000 bytes \(limit 1,000,000\)"):
        list(archive_blobs(path, limits=Limits(member=1_000_000)))


def test_a_real_zip_bomb_is_refused_before_it_is_unpacked(load, tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("cat/0.bmp", bytes(1 << 24))
        archive.filelist *= 100  # entries that share their content, as in the smallest known bombs
    assert (tmp_path / "bomb.zip").stat().st_size < 50_000
    with pytest.raises(DataError, match=r"bomb\.zip: unpacks to more than 1,073,741,824 bytes"):
        load(tmp_path / "bomb.zip")


def test_an_idx_bomb_is_refused(load, tmp_path):
    header = bytes([0, 0, 8, 3]) + (60_000).to_bytes(4, "big") + (200).to_bytes(4, "big") * 2
    folder = write_folder(
        tmp_path / "a",
        {
            "x-images-idx3-ubyte.gz": gzip.compress(header + bytes(1000)),
            "x-labels-idx1-ubyte.gz": gzip.compress(b"\0\0\x08\1"),
        },
    )
    with pytest.raises(
        DataError, match=r"x-images-idx3-ubyte\.gz: cut off or damaged; its header says \(60000, 200, 200\)"
    ):
        load(folder)


@pytest.mark.parametrize(
    ("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tar.xz", "w:xz"), ("a.tar.bz2", "w:bz2")]
)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.75])
def test_a_cut_off_tar_is_refused(load, tmp_path, name, mode, share):
    path = write_tar(tmp_path / name, pictures(each=20), mode)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(DataError, match=r"a\.tar.*(cut off|damaged).*(Download or copy it again|copy it again)"):
        load(path)


def test_a_tar_cut_off_between_two_members_is_refused(load, tmp_path):
    path = write_tar(tmp_path / "a.tar", pictures())
    path.write_bytes(path.read_bytes()[: 1024 * 8])
    with pytest.raises(DataError, match=r"a\.tar: cut off, its end mark is missing"):
        load(path)


def test_a_cut_off_zip_is_refused(load, tmp_path):
    path = write_zip(tmp_path / "a.zip", pictures())
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(DataError, match=r"a\.zip: damaged or cut off .*Download or copy it again"):
        load(path)


def test_a_member_without_a_name_does_not_stop_reading_or_is_refused(load, tmp_path):
    path = write_zip(tmp_path / "a.zip", {"n": b"x"} | pictures())
    content = path.read_bytes()
    place = content.index(b"PK\x01\x02")
    path.write_bytes(content[: place + 28] + b"\0" + content[place + 29 :])
    with pytest.raises(DataError, match=r"a\.zip"):
        load(path)


def test_a_damaged_member_of_a_zip_is_left_out_and_listed(load, tmp_path):
    path = write_zip(tmp_path / "a.zip", pictures(), zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"IDAT", b"XXXX", 1))
    dataset = load(path)
    assert len(dataset) == 11
    assert [problem.where for problem in dataset.problems] == ["a.zip/cat/0.png"]
    assert "damaged in the archive" in dataset.problems[0].why


class Evil:
    """Would create a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["cifar/data_batch_1", "data.pkl", "test_batch"])
def test_pickles_are_refused_and_never_opened(load, tmp_path, name):
    folder = write_folder(tmp_path / "a", {name: pickle.dumps(Evil(tmp_path / "owned"))})
    with pytest.raises(DataError, match=r"a Python pickle can run any code.*Take the binary version"):
        load(folder)
    assert not (tmp_path / "owned").exists()


def test_objects_in_an_npz_are_refused_and_never_opened(load, tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 4, 4)), y=np.array([Evil(tmp_path / "owned"), 1], dtype=object))
    with pytest.raises(DataError, match=r"a\.npz\[y\.npy\]: holds Python objects, which are never unpickled"):
        load(tmp_path / "a.npz")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((3, 4, 4))}, r"images without labels \(arrays: x\)\. Add an array `y`"),
        ({"x": np.zeros((3, 4, 4)), "y": np.zeros(2, int)}, r"3 images but 2 labels"),
        ({"pictures": np.zeros((3, 4, 4))}, r"no images among its arrays \(pictures\)\. Name them `x` and `y`"),
        ({"x": np.zeros((2, 4, 4)), "y": np.array([0.5, 1])}, r"labels of shape \(2,\) and type float64"),
        (
            {"x": np.zeros((2, 4, 4)), "y": np.array([0, 5]), "class_names": np.array(["a"])},
            r"from 0 to 5 but 1 class names",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_refused(load, tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=message):
        load(tmp_path / "a.npz")


def test_an_idx_file_without_its_partner_is_refused(load, tmp_path):
    content = bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 7])
    folder = write_folder(tmp_path / "a", {"t10k-images-idx3-ubyte": content})
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte: its file of labels is missing"):
        load(folder)


def test_a_cifar_file_of_the_wrong_length_is_refused(load, tmp_path):
    with pytest.raises(DataError, match=r"data_batch_1\.bin: 3,000 bytes are no whole number of CIFAR rows"):
        load(write_folder(tmp_path / "a", {"data_batch_1.bin": bytes(3000)}))


def test_damaged_and_cut_off_tfrecords_are_refused(load, tmp_path):
    content = tfrecord_bytes(png(1), 0) + tfrecord_bytes(png(2), 1)
    flipped = bytearray(content)
    flipped[40] ^= 1
    for name, damaged, message in (
        ("cut", content[:-3], "cut off at byte"),
        ("flip", bytes(flipped), r"damaged at byte 0"),
    ):
        with pytest.raises(DataError, match=message):
            load(write_folder(tmp_path / name, {"0.tfrecords": damaged}))


def test_a_table_of_pixels_names_the_line_that_is_wrong(load, tmp_path):
    table = tmp_path / "a.csv"
    for text, message in (
        ("f0,label\n1,2\n1,2,3\n", r"a\.csv, line 3: 3 values, but the header has 2"),
        ("f0,label\nx,2\n", r"a\.csv, line 2: a pixel is not a number"),
        ("file,name\na,b\n", r"no column `label`.*--labels"),
        ("f0,f1,label\n1,2,3\n", r"2 columns of pixels are no square image"),
    ):
        table.write_text(text)
        with pytest.raises(DataError, match=message):
            load(table)


def test_a_file_that_may_not_be_read_is_named():
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o777)
        folder = write_folder(Path(place) / "a", pictures())
        (folder / "cat" / "0.png").chmod(0)
        message = error_without_rights(lambda: load_dataset(folder, size=8, cache_dir=Path(place) / "cache"))
    assert re.search(r"0\.png: cannot be read .*Check its permissions", message)


def test_a_size_that_makes_no_sense_is_refused(load, tmp_path):
    with pytest.raises(DataError, match="Image size 0 is out of range; give 1 to 1024"):
        load_dataset("digits", size=0, cache_dir=tmp_path)


def test_a_bomb_among_the_images_of_a_folder_is_refused_by_name(load, tmp_path):
    from PIL import Image

    stream = io.BytesIO()
    Image.new("1", (10_001, 10_000)).save(stream, "PNG")
    with pytest.raises(DataError, match=r"cat/sun\.png: a decompression bomb"):
        load(write_folder(tmp_path / "a", pictures() | {"cat/sun.png": stream.getvalue()}))


def test_a_broken_link_is_left_out_and_listed(load, tmp_path):
    folder = write_folder(tmp_path / "a", pictures())
    (folder / "cat" / "gone.png").symlink_to(tmp_path / "nothing.png")
    for _ in range(2):
        assert [str(problem) for problem in load(folder).problems] == ["cat/gone.png: a broken link, or no file"]


def test_links_to_folders_are_followed_and_loops_end(load, tmp_path):
    elsewhere = write_folder(tmp_path / "elsewhere", pictures(("lion",)))
    folder = write_folder(tmp_path / "a", pictures())
    (folder / "lion").symlink_to(elsewhere / "lion")
    (folder / "loop").symlink_to(folder)
    assert load(folder).class_names == ("cat", "dog", "lion")


def test_names_that_are_no_utf8_are_read(load, tmp_path):
    folder = write_folder(tmp_path / "a", pictures(("dog",)))
    strange = os.fsencode(folder) + b"/caf\xe9"
    Path(os.fsdecode(strange)).mkdir()
    for index in range(3):
        Path(os.fsdecode(strange + b"/%d.png" % index)).write_bytes(png(500 + index))
    Path(os.fsdecode(strange + b"/\xff.png")).write_bytes(b"text")
    for _ in range(2):
        dataset = load(folder)
        assert dataset.class_names == ("caf\\xe9", "dog")
        assert [problem.where for problem in dataset.problems] == ["caf\\xe9/\\xff.png"]
