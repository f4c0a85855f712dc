"""Images are decoded once, kept by content, shared between processes, and made again when damaged."""

import errno
import multiprocessing
import os
import pickle
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from data_samples import pictures, png, write_folder, write_zip

from nasgym.core.errors import DataError
from nasgym.data import dataset as dataset_module
from nasgym.data import default_cache_dir, load_dataset
from nasgym.data.decoding import Staging
from nasgym.data.files import FileSource


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "pets", pictures())


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def decodings(monkeypatch) -> list[str]:
    """Names of the sources that were decoded."""
    seen: list[str] = []
    decode = dataset_module._decode

    def spy(source, *rest):
        seen.append(source.name)
        return decode(source, *rest)

    monkeypatch.setattr(dataset_module, "_decode", spy)
    return seen


def test_a_second_load_decodes_nothing_and_hashes_nothing(folder, cache, decodings, monkeypatch):
    first = load_dataset(folder, size=8, cache_dir=cache)
    monkeypatch.setattr(FileSource, "fingerprint", lambda self: pytest.fail("hashed again"))
    second = load_dataset(folder, size=8, cache_dir=cache)
    assert decodings == ["pets"]
    assert second == first
    assert isinstance(second.images, np.memmap)


def test_the_same_content_elsewhere_is_not_decoded_again(folder, cache, decodings, tmp_path):
    load_dataset(folder, size=8, cache_dir=cache)
    copy = load_dataset(write_folder(tmp_path / "copy", pictures()), size=8, cache_dir=cache)
    assert decodings == ["pets"]
    assert copy.name == "copy"


@pytest.mark.parametrize("change", ["content", "name", "more", "size"])
def test_a_change_of_the_data_or_the_size_is_decoded_anew(folder, cache, decodings, change):
    before = load_dataset(folder, size=8, cache_dir=cache)
    match change:
        case "content":
            (folder / "cat" / "0.png").write_bytes(png(77))
        case "name":
            (folder / "cat").rename(folder / "lion")
        case "more":
            (folder / "cat" / "more.png").write_bytes(png(78))
    after = load_dataset(folder, size=9 if change == "size" else 8, cache_dir=cache)
    assert decodings == ["pets", "pets"]
    assert after.fingerprint != before.fingerprint


def test_labels_are_part_of_the_key(folder, cache, decodings, tmp_path):
    plain = load_dataset(folder, size=8, cache_dir=cache)
    table = tmp_path / "labels.csv"
    table.write_text("file,label\n" + "".join(f"cat/{i}.png,{'ab'[i % 2]}\n" for i in range(6)))
    labelled = load_dataset(folder, size=8, cache_dir=cache, labels=table)
    assert (plain.class_names, labelled.class_names) == (("cat", "dog"), ("a", "b"))


@pytest.mark.parametrize("name", ["images.npy", "index.npz", "dataset.json"])
@pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
def test_a_damaged_cache_is_noticed_and_made_again(folder, cache, decodings, name, damage):
    first = load_dataset(folder, size=8, cache_dir=cache)
    expected = first.images.tobytes()
    victim = first.folder / name
    content = bytearray(victim.read_bytes())
    match damage:
        case "cut":
            victim.write_bytes(content[: len(content) // 2])
        case "flip":
            content[len(content) // 2] ^= 0xFF
            victim.write_bytes(content)
        case "gone":
            victim.unlink()
    again = load_dataset(folder, size=8, cache_dir=cache)
    assert decodings == ["pets", "pets"]
    assert again.images.tobytes() == expected
    assert again.fingerprint == pickle.loads(pickle.dumps(again)).fingerprint


def test_a_damaged_note_of_what_was_seen_is_ignored(folder, cache, decodings):
    load_dataset(folder, size=8, cache_dir=cache)
    for note in (cache / "seen").iterdir():
        note.write_bytes(b"\xff\x00")
    load_dataset(folder, size=8, cache_dir=cache)
    assert decodings == ["pets"]


def test_it_pickles_as_its_folder(folder, cache):
    dataset = load_dataset(folder, size=8, cache_dir=cache)
    assert dataset.images.size > 0
    content = pickle.dumps(dataset)
    assert len(content) < 500
    assert (pickle.loads(content).images == dataset.images).all()


def test_a_cache_that_was_removed_under_a_data_set_is_told(folder, cache):
    dataset = pickle.loads(pickle.dumps(load_dataset(folder, size=8, cache_dir=cache)))
    (dataset.folder / "images.npy").unlink()
    with pytest.raises(DataError, match=r"Decoded images of 'pets' in .* cannot be read .*Load the data set again"):
        _ = dataset.images


def load_in_a_process(arguments: tuple[Path, Path]) -> tuple[str, bytes]:
    folder, cache = arguments
    dataset = load_dataset(folder, size=32, cache_dir=cache)
    return dataset.fingerprint, dataset.images.tobytes()


def test_processes_that_decode_at_once_do_not_collide(tmp_path, cache):
    source = write_zip(tmp_path / "a.zip", pictures(each=100))
    with ProcessPoolExecutor(4, multiprocessing.get_context("spawn")) as pool:
        results = list(pool.map(load_in_a_process, [(source, cache)] * 4))
    assert len(set(results)) == 1
    assert sorted(path.name for path in cache.iterdir() if path.name.startswith("writing-")) == []
    assert load_dataset(source, size=32, cache_dir=cache).fingerprint == results[0][0]


def with_a_quota(folder: Path, cache: Path, limit: int) -> str:
    """Load under a limit on the size of files, as on a full disk; return the message."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        load_dataset(folder, size=64, cache_dir=cache)
    except DataError as error:
        return str(error)
    return "loaded"


def test_a_disk_without_room_is_told_with_the_remedy_and_nothing_is_left_behind(folder, cache):
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        message = pool.submit(with_a_quota, folder, cache, 20_000).result()
    assert "the disk is full" in message
    assert str(cache) in message
    assert "Free some space, or choose another folder with --cache-dir, cache_dir= or NASGYM_CACHE" in message
    assert [path.name for path in cache.iterdir()] == ["seen"]
    assert len(load_dataset(folder, size=64, cache_dir=cache)) == 12


def test_a_full_disk_while_decoding_many_images_is_told(tmp_path, monkeypatch):
    staging = Staging(tmp_path, 8)

    def full(content: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(staging._file, "write", full)
    with pytest.raises(DataError, match=r"Cannot write decoded images to .*: the disk is full"):
        staging.append(np.zeros((8, 8, 1), np.uint8))
    staging.close()


def test_a_cache_that_cannot_be_a_folder_is_told(folder, tmp_path):
    (tmp_path / "file").write_text("I am a file")
    with pytest.raises(
        DataError, match=r"Cannot write decoded images to .*file.* Choose another folder with --cache-dir"
    ):
        load_dataset(folder, size=8, cache_dir=tmp_path / "file")


def test_by_default_images_are_kept_in_the_users_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_dir().name == "nasgym"


def test_images_beyond_what_fits_into_memory_are_staged_on_disk(tmp_path, monkeypatch, folder, cache):
    import nasgym.data.decoding as decoding

    expected = load_dataset(folder, size=8, cache_dir=cache).images.tobytes()
    monkeypatch.setattr(decoding, "_IN_MEMORY", 100)
    assert load_dataset(folder, size=8, cache_dir=tmp_path / "other").images.tobytes() == expected


def test_what_a_killed_process_left_behind_is_removed_a_day_later(folder, cache):
    for name, age in (("writing-old", 90_000), ("writing-new", 60)):
        (cache / name).mkdir(parents=True)
        os.utime(cache / name, (time.time() - age,) * 2)
    load_dataset(folder, size=8, cache_dir=cache)
    assert [path.name for path in cache.glob("writing-*")] == ["writing-new"]
