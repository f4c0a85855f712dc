"""What is exported is read back; pictures and near copies are found."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from data_samples import encoded, pictures, pixels, png, write_folder
from PIL import Image

from nasgym.core.errors import DataError
from nasgym.data import ImageDataset, Split, SplitRules, load_dataset, make_split
from nasgym.data.contact_sheet import contact_sheet, save_contact_sheet
from nasgym.data.duplicates import near_duplicates
from nasgym.data.export import ExportFormat, export
from nasgym.data.summary import summarise
from nasgym.data.thumbnails import thumbnails


@pytest.fixture
def load(tmp_path: Path):
    def load(source, **options) -> ImageDataset:
        return load_dataset(source, **{"size": 8, "cache_dir": tmp_path / "cache"} | options)

    return load


@pytest.fixture(params=[1, 3], ids=["grey", "colour"])
def dataset(request, load, tmp_path) -> ImageDataset:
    files = {f"{'train' if i < 8 else 'test'}/{'ab'[i % 2]}/{i}.png": png(i, channels=request.param) for i in range(12)}
    return load(write_folder(tmp_path / "a", files))


def labelled(dataset: ImageDataset) -> set[tuple[int, bytes]]:
    return {(int(label), image.tobytes()) for label, image in zip(dataset.labels, dataset.images, strict=True)}


def test_npz_is_read_back_with_names_and_split(dataset, load, tmp_path):
    export(dataset, tmp_path / "out.npz", ExportFormat.NPZ)
    back = load(tmp_path / "out.npz")
    assert labelled(back) == labelled(dataset)
    assert back.class_names == dataset.class_names
    assert np.bincount(back.official_split).tolist() == [8, 0, 4]


def test_csv_is_read_back_and_has_the_columns_of_the_original_exporter(dataset, load, tmp_path):
    export(dataset, tmp_path / "out.csv", ExportFormat.CSV)
    assert labelled(load(tmp_path / "out.csv")) == labelled(dataset)
    header, first, *_ = csv.reader(io.StringIO((tmp_path / "out.csv").read_text()))
    features = int(np.prod(dataset.shape))
    assert header == [*(f"f{index}" for index in range(features)), "label"]
    assert float(first[3]) == pytest.approx(dataset.images[0].ravel()[3] / 255, abs=1e-6)


def test_tfrecord_is_read_back_up_to_the_loss_of_jpeg(load, tmp_path):
    smooth = {
        f"{'ab'[i % 2]}/{i}.png": encoded(
            np.add.outer(np.arange(16), np.arange(16) * (i % 5)).astype(np.uint8)[..., None] * 2 + i
        )
        for i in range(10)
    }
    dataset = load(write_folder(tmp_path / "b", smooth), size=16)
    export(dataset, tmp_path / "out" / "b.tfrecords", ExportFormat.TFRECORD)
    back = load(tmp_path / "out" / "b.tfrecords", size=16)
    assert (tmp_path / "out" / "b.tfrecords.classes.txt").read_text().split() == ["a", "b"]
    assert back.class_names == ("0", "1")
    key = lambda images: images[np.argsort(images.reshape(len(images), -1).astype(int).sum(axis=1))].astype(int)  # noqa: E731 - said once
    for label in (0, 1):
        before, after = key(dataset.images[dataset.labels == label]), key(back.images[back.labels == label])
        assert abs(before - after).max() <= 6


def test_a_place_that_cannot_be_written_is_named(dataset, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"Cannot write .*file/out\.npz: .* choose another --out"):
        export(dataset, tmp_path / "file" / "out.npz", ExportFormat.NPZ)
    with pytest.raises(DataError, match=r"Cannot write the contact sheet .*\.png file"):
        save_contact_sheet(dataset, tmp_path / "sheet.xyz")


def test_the_contact_sheet_shows_a_row_a_class(dataset, tmp_path):
    sheet = contact_sheet(dataset)
    assert sheet.height == 4 + 2 * 36
    save_contact_sheet(dataset, tmp_path / "deep" / "sheet.png")
    assert Image.open(tmp_path / "deep" / "sheet.png").size == sheet.size
    cell = np.asarray(sheet)[4:36, -12 * 36 : -12 * 36 + 32]
    first = dataset.images[0].repeat(4, axis=0).repeat(4, axis=1)
    assert (cell == np.broadcast_to(first, (32, 32, 3))).all()


def test_thumbnails_are_cell_means():
    images = np.arange(36, dtype=np.uint8).reshape(1, 6, 6, 1)
    result = thumbnails(images, np.array([0]), 2)[0, ..., 0] * 255
    assert result == pytest.approx(np.array([[7, 10], [25, 28]]))
    assert thumbnails(images, np.array([0, 0]), 9).shape == (2, 6, 6, 1)
    uneven = thumbnails(images, np.array([0]), 4)[0, 0, :, 0] * 255
    assert uneven == pytest.approx([0, 1.5, 3, 4.5], abs=1e-4)


def test_near_copies_on_two_sides_are_found_and_others_are_not(load, tmp_path):
    original = {f"{'ab'[i % 2]}/{i}.png": encoded(pixels(i, 32)) for i in range(20)}
    brighter = {
        f"{'ab'[i % 2]}/copy{i}.png": encoded(np.clip(pixels(i, 32).astype(int) + 3, 0, 255).astype(np.uint8))
        for i in range(6)
    }
    same = {f"{'ab'[i % 2]}/same{i}.png": encoded(pixels(i, 32)) for i in range(6, 12)}
    dataset = load(write_folder(tmp_path / "a", original | brighter | same), size=32)
    split = make_split(dataset, SplitRules(seed=3)).split
    side_of = {int(index): place for place, side in enumerate(split.sides()) for index in side}
    number = {index: int("".join(filter(str.isdigit, Path(path).stem))) for index, path in enumerate(dataset.paths)}
    crossing = {number[i] for i in side_of for j in side_of if number[i] == number[j] and side_of[i] != side_of[j]}
    found = near_duplicates(dataset, split)
    assert {number[pair.image] for pair in found} == crossing
    assert crossing
    assert all(number[pair.image] == number[pair.copy] for pair in found)
    assert {number[pair.image] for pair in found if pair.exact} == {n for n in crossing if n >= 6}


def test_blank_images_of_one_brightness_are_near_copies(load, tmp_path):
    blank = {f"{'ab'[i % 2]}/{i}.png": encoded(np.full((32, 32, 1), 90 * (i // 2), np.uint8)) for i in range(4)}
    files = (
        blank
        | {f"a/x{i}.png": encoded(pixels(i, 32)) for i in range(6)}
        | {f"b/x{i}.png": encoded(pixels(9 + i, 32)) for i in range(6)}
    )
    dataset = load(write_folder(tmp_path / "a", files), size=32)
    halves = dataset.labels == 0
    split = Split(np.flatnonzero(halves), np.flatnonzero(~halves), np.zeros(0, np.int64))
    assert len(near_duplicates(dataset, split)) == 2


def test_two_dark_images_are_not_near_copies(load, tmp_path):
    dark = {f"{'ab'[i % 2]}/{i}.png": encoded(pixels(i, 32) // 40) for i in range(30)}
    dataset = load(write_folder(tmp_path / "a", dark), size=32)
    assert near_duplicates(dataset, make_split(dataset, SplitRules()).split) == ()


def test_a_summary_counts_what_there_is(load, tmp_path):
    files = pictures(each=10) | {"cat/wide.png": encoded(pixels(3, 8)[:4]), "cat/no.png": b"text"}
    summary = summarise(load(write_folder(tmp_path / "pets", files)), SplitRules())
    assert (summary.name, summary.images, summary.size, summary.channels) == ("pets", 21, 8, 1)
    assert summary.original_sizes == ((4, 8), (8, 8), (8, 8))
    assert summary.classes == {"cat": 11, "dog": 10}
    assert summary.balance == pytest.approx(0.9984, abs=1e-4)
    assert summary.split == {"train": 13, "validation": 4, "test": 4}
    assert summary.split_kind == "stratified"
    assert [str(problem) for problem in summary.problems] == ["cat/no.png: not an image"]
