"""Every kind of file that users have is read into the same images and classes."""

import gzip
import struct
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from data_samples import encoded, pictures, pixels, png, write_folder, write_tar, write_zip

from nasgym.core import plugins
from nasgym.core.errors import DataError, PluginError
from nasgym.data import ImageDataset, Record, load_dataset
from nasgym.data.tfrecord import tfrecord_bytes


@pytest.fixture
def load(tmp_path: Path):
    def load(source, size: int = 8, **options) -> ImageDataset:
        return load_dataset(source, size=size, cache_dir=tmp_path / "cache", **options)

    return load


def idx(array: np.ndarray) -> bytes:
    return (
        bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.astype(np.uint8).tobytes()
    )


def images_by_class(dataset: ImageDataset) -> dict[str, set[bytes]]:
    return {
        name: {dataset.images[index].tobytes() for index in np.flatnonzero(dataset.labels == label)}
        for label, name in enumerate(dataset.class_names)
    }


def test_class_folders_give_their_names_as_classes_and_their_pixels_unchanged(tmp_path, load):
    dataset = load(write_folder(tmp_path / "pets", pictures()))
    assert dataset.name == "pets"
    assert dataset.class_names == ("cat", "dog")
    assert dataset.images.shape == (12, 8, 8, 1)
    assert dataset.images.dtype == np.uint8
    assert dataset.problems == ()
    assert images_by_class(dataset) == {
        "cat": {pixels(seed).tobytes() for seed in range(6)},
        "dog": {pixels(1000 + seed).tobytes() for seed in range(6)},
    }


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tgz", "w:gz"), ("a.tar.xz", "w:xz"), ("a.tar.bz2", "w:bz2")],
)
def test_a_tar_reads_as_the_folder_it_was_made_of(tmp_path, load, name, mode):
    folder = load(write_folder(tmp_path / "a", pictures()))
    archive = load(write_tar(tmp_path / name, pictures(), mode))
    assert archive.name == "a"
    assert archive.fingerprint == folder.fingerprint


def test_a_zip_reads_as_the_folder_it_was_made_of_whatever_folder_is_wrapped_around_it(tmp_path, load):
    folder = load(write_folder(tmp_path / "a", pictures()))
    wrapped = write_zip(tmp_path / "b.zip", {f"top/inner/{path}": content for path, content in pictures().items()})
    assert load(wrapped).fingerprint == folder.fingerprint


def test_nested_folders_are_classes_of_their_own(tmp_path, load):
    files = pictures(("Greek/character01", "Greek/character02", "Latin/character01"))
    dataset = load(write_folder(tmp_path / "a", files))
    assert dataset.class_names == ("Greek/character01", "Greek/character02", "Latin/character01")


def test_several_archives_in_a_folder_are_one_data_set_and_a_repeated_file_counts_once(tmp_path, load):
    both = pictures(("Greek/a",))
    write_folder(tmp_path / "omniglot", {"SOURCE.md": b"where from"})
    write_zip(
        tmp_path / "omniglot" / "small1.zip", {f"small1/{k}": v for k, v in (pictures(("Balinese/a",)) | both).items()}
    )
    write_zip(
        tmp_path / "omniglot" / "small2.zip",
        {f"small2/{k}": v for k, v in (both | pictures(("Latin/b",), start=50)).items()},
    )
    dataset = load(tmp_path / "omniglot")
    assert dataset.class_names == ("Balinese/a", "Greek/a", "Latin/b")
    assert np.bincount(dataset.labels).tolist() == [6, 6, 6]
    whys = {problem.why for problem in dataset.problems}
    assert whys == {"not an image", "the same file as in small1.zip"}
    assert all(problem.harmless for problem in dataset.problems)
    assert len(load(tmp_path / "omniglot", strict=True)) == len(dataset)


def test_top_folders_named_train_and_test_are_the_official_split(tmp_path, load):
    files = {f"train/{k}": v for k, v in pictures().items()} | {
        f"test/{k}": v for k, v in pictures(start=100, each=2).items()
    }
    files |= {f"val/{k}": v for k, v in pictures(start=200, each=1).items()}
    dataset = load(write_folder(tmp_path / "a", files))
    assert dataset.class_names == ("cat", "dog")
    assert np.bincount(dataset.official_split).tolist() == [12, 2, 4]


def test_a_class_named_train_is_a_class(tmp_path, load):
    dataset = load(write_folder(tmp_path / "a", pictures(("cat", "rainbow", "train"))))
    assert dataset.class_names == ("cat", "rainbow", "train")
    assert dataset.official_split is None


def test_a_lone_train_folder_is_a_wrapper_and_no_split(tmp_path, load):
    dataset = load(write_folder(tmp_path / "a", {f"train/{k}": v for k, v in pictures().items()}))
    assert dataset.class_names == ("cat", "dog")
    assert dataset.official_split is None


def test_archives_named_train_and_test_are_the_official_split(tmp_path, load):
    (tmp_path / "cifar").mkdir()
    write_tar(tmp_path / "cifar" / "cifar10_train.tar.xz", pictures(each=5), "w:xz")
    write_tar(tmp_path / "cifar" / "cifar10_test.tar.xz", pictures(each=2, start=50), "w:xz")
    dataset = load(tmp_path / "cifar")
    assert dataset.class_names == ("cat", "dog")
    assert np.bincount(dataset.official_split).tolist() == [10, 0, 4]


def test_flat_archives_in_a_folder_are_a_class_each(tmp_path, load):
    (tmp_path / "a").mkdir()
    for place, name in enumerate(("cat", "dog")):
        write_zip(tmp_path / "a" / f"{name}.zip", {f"{i}.png": png(100 * place + i) for i in range(3)})
    assert load(tmp_path / "a").class_names == ("cat", "dog")


@pytest.mark.parametrize(
    "names", [("x", "y"), ("images", "labels"), ("data", "target"), ("X", "Y"), ("arr_0", "arr_1")]
)
def test_an_npz_holds_images_and_labels_under_their_usual_names(tmp_path, load, names):
    x = np.stack([pixels(i) for i in range(6)])
    np.savez(tmp_path / "a.npz", **{names[0]: x[..., 0], names[1]: np.arange(6) % 2})
    dataset = load(tmp_path / "a.npz")
    assert dataset.class_names == ("0", "1")
    assert images_by_class(dataset)["1"] == {x[i].tobytes() for i in (1, 3, 5)}


def test_an_npz_with_class_names_uses_them(tmp_path, load):
    x = np.stack([pixels(i) for i in range(4)])
    np.savez(tmp_path / "a.npz", x=x, y=np.array([1, 1, 0, 0]), class_names=np.array(["zebra", "ant"]))
    dataset = load(tmp_path / "a.npz")
    assert dataset.class_names == ("ant", "zebra")
    assert images_by_class(dataset)["zebra"] == {x[2].tobytes(), x[3].tobytes()}


def test_an_npz_of_train_and_test_arrays_is_the_official_split(tmp_path, load):
    x = np.stack([pixels(i) for i in range(6)])
    np.savez(tmp_path / "a.npz", x_train=x[:4], y_train=[0, 1, 0, 1], x_test=x[4:], y_test=[0, 1])
    dataset = load(tmp_path / "a.npz")
    assert np.bincount(dataset.official_split).tolist() == [4, 0, 2]


def test_one_hot_labels_and_channels_first_and_floats_are_understood(tmp_path, load):
    x = np.stack([pixels(i, channels=3) for i in range(4)])
    np.savez(tmp_path / "a.npz", x=np.moveaxis(x, 3, 1) / 255.0, y=np.eye(2)[[0, 1, 0, 1]])
    assert images_by_class(load(tmp_path / "a.npz"))["0"] == {x[0].tobytes(), x[2].tobytes()}


def test_npz_files_of_one_name_with_training_and_testing_are_an_official_split(tmp_path, load):
    x = np.stack([pixels(i) for i in range(6)])
    folder = write_folder(tmp_path / "a", {})
    folder.mkdir(exist_ok=True)
    np.savez(folder / "bangla-training.npz", images=x[:4], labels=[0, 1, 0, 1])
    np.savez(folder / "bangla-testing.npz", images=x[4:], labels=[0, 1])
    dataset = load(folder)
    assert dataset.class_names == ("0", "1")
    assert np.bincount(dataset.official_split).tolist() == [4, 0, 2]


def test_numbered_classes_of_differently_named_npz_files_are_different_classes(tmp_path, load):
    (tmp_path / "a").mkdir()
    for place, name in enumerate(("bangla", "telugu")):
        x = np.stack([pixels(100 * place + i) for i in range(4)])
        np.savez(tmp_path / "a" / f"{name}-training.npz", images=x[:2], labels=[0, 1])
        np.savez(tmp_path / "a" / f"{name}-testing.npz", images=x[2:], labels=[0, 1])
    assert load(tmp_path / "a").class_names == ("bangla/0", "bangla/1", "telugu/0", "telugu/1")


def test_numbered_npz_files_are_shards_of_one_data_set(tmp_path, load):
    (tmp_path / "a").mkdir()
    for place in (1, 2):
        np.savez(
            tmp_path / "a" / f"part_{place}.npz", x=np.stack([pixels(10 * place), pixels(10 * place + 1)]), y=[0, 1]
        )
    dataset = load(tmp_path / "a")
    assert dataset.class_names == ("0", "1")
    assert len(dataset) == 4


@pytest.mark.parametrize("gzipped", [True, False])
def test_idx_pairs_are_read_from_a_folder_or_by_the_file_of_images(tmp_path, load, gzipped):
    x, y = np.stack([pixels(i)[..., 0] for i in range(6)]), np.arange(6) % 3
    pack, suffix = (gzip.compress, ".gz") if gzipped else (bytes, "")
    folder = write_folder(
        tmp_path / "mnist",
        {f"t10k-images-idx3-ubyte{suffix}": pack(idx(x)), f"t10k-labels-idx1-ubyte{suffix}": pack(idx(y))},
    )
    dataset = load(folder)
    assert dataset.class_names == ("0", "1", "2")
    assert dataset.official_split is None
    assert images_by_class(dataset)["2"] == {x[2].tobytes(), x[5].tobytes()}
    assert load(folder / f"t10k-images-idx3-ubyte{suffix}").fingerprint == dataset.fingerprint
    assert load(folder / f"t10k-labels-idx1-ubyte{suffix}").fingerprint == dataset.fingerprint


def test_train_and_t10k_idx_pairs_are_the_official_split(tmp_path, load):
    files = {}
    for start, name in ((0, "train"), (10, "t10k")):
        x = np.stack([pixels(start + i)[..., 0] for i in range(4)])
        files |= {f"{name}-images-idx3-ubyte": idx(x), f"{name}-labels-idx1-ubyte": idx(np.arange(4) % 2)}
    assert np.bincount(load(write_folder(tmp_path / "a", files)).official_split).tolist() == [4, 0, 4]


@pytest.mark.parametrize("label_bytes", [1, 2])
def test_cifar_binaries_are_read_with_their_class_names_and_split_from_a_tar(tmp_path, load, label_bytes):
    def rows(start: int) -> bytes:
        parts = []
        for i in range(4):
            image = np.moveaxis(pixels(start + i, 32, 3), 2, 0)
            parts.append(bytes([9] * (label_bytes - 1) + [i % 2]) + image.tobytes())
        return b"".join(parts)

    names = ("batches.meta.txt", "data_batch_1.bin", "test_batch.bin")
    if label_bytes == 2:
        names = ("fine_label_names.txt", "train.bin", "test.bin")
    files = {f"cifar/{names[1]}": rows(0), f"cifar/{names[2]}": rows(100), f"cifar/{names[0]}": b"plane\ncar\n"}
    dataset = load(write_tar(tmp_path / "cifar-binary.tar.gz", files, "w:gz"), size=32)
    assert dataset.class_names == ("car", "plane")
    assert np.bincount(dataset.official_split).tolist() == [4, 0, 4]
    assert pixels(0, 32, 3).tobytes() in images_by_class(dataset)["plane"]


def test_quickdraw_npy_files_are_a_class_each(tmp_path, load):
    (tmp_path / "a").mkdir()
    for place, name in enumerate(("full_numpy_bitmap_cat", "train")):
        np.save(tmp_path / "a" / f"{name}.npy", np.stack([pixels(10 * place + i, 28).ravel() for i in range(5)]))
    dataset = load(tmp_path / "a", size=28)
    assert dataset.class_names == ("cat", "train")
    assert pixels(10, 28).tobytes() in images_by_class(dataset)["train"]


def test_tfrecords_are_read_at_any_size(tmp_path, load):
    content = [b"".join(tfrecord_bytes(png(10 * label + i, channels=3), label) for i in range(4)) for label in (0, 7)]
    folder = write_folder(tmp_path / "dtd", {"0.tfrecords": content[0], "1.tfrecords": content[1]})
    dataset = load(folder)
    assert dataset.class_names == ("0", "7")
    assert images_by_class(dataset)["7"] == {pixels(70 + i, channels=3).tobytes() for i in range(4)}
    assert load(folder, size=84).images.shape == (8, 84, 84, 3)


def test_a_table_of_pixels_is_read(tmp_path, load):
    rows = ["label,p0,p1,p2,p3", "cat,0,64,128,255", "dog,255,0,0,0", "cat,1,2,3,4"]
    (tmp_path / "a.csv").write_text("\n".join(rows))
    dataset = load(tmp_path / "a.csv", size=2)
    assert images_by_class(dataset) == {
        "cat": {bytes([0, 64, 128, 255]), bytes([1, 2, 3, 4])},
        "dog": {bytes([255, 0, 0, 0])},
    }


def test_the_digits_are_embedded(load):
    dataset = load("digits", size=32)
    assert dataset.images.shape == (1797, 32, 32, 1)
    assert dataset.class_names == tuple("0123456789")
    assert np.bincount(dataset.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_a_saved_hugging_face_data_set_is_read_with_its_splits(tmp_path, load):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["dog", "cat"])})

    def part(start: int, n: int):
        rows = {
            "image": [{"bytes": png(start + i), "path": None} for i in range(n)],
            "label": [i % 2 for i in range(n)],
        }
        return datasets.Dataset.from_dict(rows, features=features)

    datasets.DatasetDict({"train": part(0, 6), "test": part(50, 2)}).save_to_disk(str(tmp_path / "saved"))
    dataset = load(tmp_path / "saved")
    assert dataset.class_names == ("cat", "dog")
    assert np.bincount(dataset.official_split).tolist() == [6, 0, 2]
    assert pixels(0).tobytes() in images_by_class(dataset)["dog"]
    assert load(tmp_path / "saved").fingerprint == dataset.fingerprint


class TwoColours:
    """A third party's source."""

    def __init__(self, argument: str) -> None:
        self.argument = argument
        self.name = f"two-{argument}"

    def fingerprint(self) -> str:
        return self.argument

    def records(self):
        for index in range(8):
            yield Record(f"{index}", np.full((4, 4, 1), 10 * index, np.uint8), "dark" if index < 4 else "light")


@pytest.fixture
def installed(monkeypatch):
    points = {
        "two": EntryPoint("two", f"{__name__}:TwoColours", "nasgym.datasets"),
        "broken": EntryPoint("broken", "builtins:len", "nasgym.datasets"),
    }
    monkeypatch.setattr(plugins, "available", lambda group: points)


def test_a_third_party_reader_is_found_by_its_name_and_given_its_argument(load, installed):
    dataset = load("two:colours")
    assert dataset.name == "two-colours"
    assert dataset.class_names == ("dark", "light")


def test_a_third_party_reader_that_is_no_source_is_refused_by_name(load, installed):
    with pytest.raises(PluginError, match=r"'broken' returned int, which lacks name, fingerprint, records"):
        load("broken:xy")


def test_an_unknown_name_is_refused_with_the_nearest_one(load):
    with pytest.raises(
        DataError, match=r"No file or folder 'digit', and no data set of that name .*Did you mean 'digits'"
    ):
        load("digit")


def test_the_same_content_in_another_format_and_order_has_the_same_fingerprint(tmp_path, load):
    files = {f"{'ab'[i % 2]}/{i}.png": encoded(pixels(i)) for i in range(10)}
    renamed = {f"{'ab'[i % 2]}/{99 - i}.png": encoded(pixels(i)) for i in range(10)}
    first, second = load(write_folder(tmp_path / "one", files)), load(write_zip(tmp_path / "two.zip", renamed))
    assert first.fingerprint == second.fingerprint
    assert first.images.tobytes() == second.images.tobytes()
    assert first.folder != second.folder
