"""Classes, sides and groups told from folders, from a labels file, and from a pattern."""

from pathlib import Path

import numpy as np
import pytest
from data_samples import pictures, png, write_folder, write_zip

from nasgym.core.errors import DataError
from nasgym.data import load_dataset
from nasgym.data.labelling import Assignment, from_folders, group_regex, groups_of, natural_key, part_in_name
from nasgym.data.records import Part


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "scans", {f"page{index}.png": png(index) for index in range(6)})


def labels_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


def load(source, tmp_path: Path, text: str):
    return load_dataset(source, size=8, cache_dir=tmp_path / "cache", labels=labels_file(tmp_path, text))


@pytest.mark.parametrize(
    ("paths", "labels"),
    [
        (["cat/1.png", "dog/1.png"], ["cat", "dog"]),
        (["top/cat/1.png", "top/dog/1.png"], ["cat", "dog"]),
        (["a/b/cat/1.png", "a/b/cat/2.png"], ["cat", "cat"]),
        (["Greek/c1/1.png", "Latin/c1/1.png"], ["Greek/c1", "Latin/c1"]),
        (["cat/1.png", "dog/old/1.png"], ["cat", "dog/old"]),
        (["root/train/cat/1.png", "root/test/cat/1.png"], ["cat", "cat"]),
    ],
)
def test_the_class_is_what_is_left_of_the_folders(paths, labels):
    answers = from_folders([(path, "") for path in paths])
    assert [answer.label for answer in answers if isinstance(answer, Assignment)] == labels


def test_folders_of_sides_give_the_side():
    answers = from_folders([("train/a/1.png", ""), ("valid/a/1.png", ""), ("testing/a/1.png", "")])
    assert answers == [Assignment("a", Part.TRAIN), Assignment("a", Part.VALIDATION), Assignment("a", Part.TEST)]


def test_archives_of_one_class_in_class_folders_take_the_folder():
    answers = from_folders([("1.png", "cat/photos.zip"), ("2.png", "dog/photos.zip")])
    assert answers == [Assignment("cat"), Assignment("dog")]


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("bangla-training", (Part.TRAIN, "bangla")),
        ("test_mnist", (Part.TEST, "mnist")),
        ("cifar10_val", (Part.VALIDATION, "cifar10")),
        ("latest", (None, "latest")),
        ("trains", (None, "trains")),
    ],
)
def test_a_side_in_a_name_is_a_whole_word(stem, expected):
    assert part_in_name(stem) == expected


def test_classes_are_sorted_as_people_count():
    assert sorted(["10", "9", "a2", "a10", "01", "1"], key=natural_key) == ["01", "1", "9", "10", "a2", "a10"]


def test_a_labels_file_gives_classes_sides_and_groups(flat, tmp_path):
    text = "\ufeffFile, Label ,split,group\n" + "".join(
        f"page{i}.png,{'ab'[i % 2]},{'train' if i < 4 else 'test'},writer{i // 2}\n" for i in range(6)
    )
    dataset = load(flat, tmp_path, text)
    assert dataset.class_names == ("a", "b")
    assert np.bincount(dataset.official_split).tolist() == [4, 0, 2]
    assert set(dataset.groups) == {"writer0", "writer1", "writer2"}


def test_a_labels_file_works_on_an_archive_and_may_leave_leading_folders_out(tmp_path):
    archive = write_zip(tmp_path / "scans.zip", {f"wrapper/page{index}.png": png(index) for index in range(4)})
    assert (
        load(archive, tmp_path, "file,label\n" + "".join(f"page{i}.png,{'ab'[i % 2]}\n" for i in range(4))).n_classes
        == 2
    )


def test_files_without_a_row_and_rows_without_a_file_are_listed(flat, tmp_path):
    dataset = load(flat, tmp_path, "file,label\npage0.png,a\npage1.png,b\npage9.png,b\n")
    assert len(dataset) == 2
    assert {(problem.where, problem.why) for problem in dataset.problems} == {
        *((f"page{index}.png", "not in labels.csv") for index in range(2, 6)),
        ("page9.png", "named in labels.csv, but no such image"),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,label\nx,a\n", r"has no column 'file' \(columns: name, label\)"),
        ("file,lable\nx,a\n", r"has no column 'label' .*Did you mean 'lable'"),
        ("file,label\n", r"has no rows"),
        ("", r"has no rows"),
        ("file,label\npage0.png,\n", r"line 2: 'label' is empty"),
        ("file,label\npage0.png,a\npage0.png,b\n", r"line 3: 'page0.png' is named twice"),
        ("file,label,split\npage0.png,a,exam\n", r"line 2: unknown split 'exam'; expected train, validation or test"),
    ],
)
def test_a_wrong_labels_file_is_refused_with_the_line(flat, tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        load(flat, tmp_path, text)


def test_a_row_that_fits_two_images_is_refused(tmp_path):
    folder = write_folder(tmp_path / "a", pictures())
    with pytest.raises(DataError, match=r"'0\.png' fits both 'cat/0\.png' and 'dog/0\.png'\. Write their whole paths"):
        load(folder, tmp_path, "file,label\n0.png,a\n1.png,b\n")


def test_a_labels_file_that_is_missing_or_no_text_is_named(flat, tmp_path):
    with pytest.raises(DataError, match=r"Labels file .*none\.csv cannot be read"):
        load_dataset(flat, labels=tmp_path / "none.csv", cache_dir=tmp_path / "cache")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"binary\.csv is not a CSV file in UTF-8"):
        load_dataset(flat, labels=tmp_path / "binary.csv", cache_dir=tmp_path / "cache")


@pytest.mark.parametrize(
    ("pattern", "path", "group"),
    [
        ("{group}_*", "42/00005_00024.jpg", "42/00005"),
        ("{group}_*", "top/7/run_3_12.png", "top/7/run_3"),
        ("*/{group}-*.png", "a/writer7-3.png", "writer7"),
        ("{group}/*", "wards/north/1.png", "wards/north"),
    ],
)
def test_a_group_pattern_names_what_images_share(pattern, path, group):
    assert groups_of([path], pattern) == [group]


@pytest.mark.parametrize("pattern", ["*_*", "{group}{group}", "track_frame"])
def test_a_pattern_without_one_group_is_refused(pattern):
    with pytest.raises(
        DataError, match=r"must hold \{group\} once; for files like class/track_frame\.jpg it is '\{group\}_\*'"
    ):
        group_regex(pattern)


def test_a_pattern_that_does_not_fit_names_a_file():
    with pytest.raises(DataError, match=r"'\{group\}_\*' does not fit 1 of 2 files, such as 'a/2\.png'"):
        groups_of(["a/x_1.png", "a/2.png"], "{group}_*")
