"""Tasks on images: their split, labels, fingerprint, description and linear baseline."""

import pickle
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from nasgym.core.errors import DataError
from nasgym.data import Part, Record, load_dataset
from nasgym.tasks import Budget, Fidelity, ImageTask, describe, linear_baseline, make_task


class Blobs:
    """Images whose class is the row of blocks in which a bright rectangle lies, under noise."""

    def __init__(self, n: int = 60, classes: int = 3, noise: float = 40, size: int = 12) -> None:
        self.shape = (n, classes, noise, size)
        self.name = "blobs"

    def fingerprint(self) -> str:
        return f"blobs {self.shape}"

    def records(self):
        n, classes, noise, size = self.shape
        random = np.random.default_rng(0)
        for index in range(n):
            label = index % classes
            image = random.uniform(0, noise, (size, size, 1))
            image[3 * label : 3 * label + 3, 2:6] += 150
            yield Record(f"{index}", image.astype(np.uint8), f"class{label}")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def task(cache) -> ImageTask:
    return make_task(Blobs(), size=12, cache_dir=cache)


def test_a_task_says_what_a_search_must_know(task):
    assert (task.name, task.input_shape, task.n_classes) == ("blobs", (12, 12, 1), 3)
    assert task.class_names == ("class0", "class1", "class2")
    assert task.fidelity == Fidelity(epochs=8, resolution=12)
    assert (task.budget, task.evaluation_seed, task.problems) == (Budget(), 0, ())


def test_images_and_labels_of_each_side_fit_and_are_copies(task):
    for part, n in ((Part.TRAIN, 36), ("validation", 12), ("test", 12)):
        images, labels = task.images(part), task.labels(part)
        assert images.shape == (n, 12, 12, 1)
        assert images.flags.writeable
        assert labels.dtype == np.int64
        assert np.bincount(labels).tolist() == [n // 3] * 3
        assert (images[:, :, 2:6, 0].reshape(n, 4, 3, 4).mean(axis=(2, 3)).argmax(axis=1) == labels).all()


def test_the_fingerprint_tells_content_and_split_but_not_budget_or_name(task, cache):
    same = make_task(Blobs(), size=12, cache_dir=cache, budget=Budget(parameters=9), name="other", fidelity=Fidelity(3))
    assert same.fingerprint == task.fingerprint
    assert task.with_budget(Budget(flops=7)).fingerprint == task.fingerprint
    changed = [
        make_task(Blobs(), size=12, cache_dir=cache, seed=1),
        make_task(Blobs(), size=13, cache_dir=cache),
        make_task(Blobs(n=63), size=12, cache_dir=cache),
        make_task(Blobs(), size=12, cache_dir=cache, classes=["class0", "class1"]),
        make_task(Blobs(), size=12, cache_dir=cache, max_per_class=10),
        make_task(Blobs(), size=12, cache_dir=cache, fractions=(0.5, 0.25, 0.25)),
    ]
    assert len({one.fingerprint for one in [task, *changed]}) == len(changed) + 1


def test_the_fingerprint_does_not_depend_on_what_the_data_set_holds_besides(cache):
    two, three = Blobs(n=40, classes=2), Blobs(n=60, classes=3)
    kept = list(two.records())
    three.records = lambda: iter([*kept, *(replace(record, label="zz", path=f"z{i}") for i, record in enumerate(kept))])
    three.fingerprint = lambda: "both"
    whole = make_task(two, size=12, cache_dir=cache)
    chosen = make_task(three, size=12, cache_dir=cache, classes=["class*"])
    assert chosen.fingerprint == whole.fingerprint
    assert chosen.dataset.fingerprint != whole.dataset.fingerprint


def test_labels_of_a_class_subset_count_from_zero(cache):
    chosen = make_task(Blobs(), size=12, cache_dir=cache, classes=["class2", "class1"])
    assert (chosen.n_classes, chosen.class_names, chosen.classes) == (2, ("class1", "class2"), (1, 2))
    assert np.bincount(chosen.labels("test")).tolist() == [4, 4]


def test_a_loaded_data_set_can_be_split_again_without_loading(cache):
    dataset = load_dataset(Blobs(), size=12, cache_dir=cache)
    assert make_task(dataset, seed=4).dataset is dataset


def test_classes_too_small_are_listed_and_strict_refuses_them(cache):
    source = Blobs(n=60)
    few = [*list(source.records())[:41], Record("x", np.zeros((12, 12, 1), np.uint8), "rare")]
    source.records, source.fingerprint = (lambda: iter(few)), (lambda: "rare")
    loose = make_task(source, size=12, cache_dir=cache)
    assert [problem.where for problem in loose.problems] == ["class 'rare'"]
    assert loose.n_classes == 3
    with pytest.raises(DataError, match=r"blobs: 1 files or classes cannot be used(.|\n)*class 'rare': too small"):
        make_task(source, size=12, cache_dir=cache, strict=True)


def sum_of_images(task: ImageTask) -> int:
    assert isinstance(task.dataset.images, np.memmap)
    return int(task.images("train").astype(np.int64).sum())


def test_a_task_reaches_another_process_small_and_maps_the_same_images(task):
    content = pickle.dumps(task)
    assert len(content) < 5000
    assert pickle.loads(content) == task
    assert hash(pickle.loads(content)) == hash(task)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        assert pool.submit(sum_of_images, task).result() == sum_of_images(task)


def test_the_description_holds_the_facts_and_landmarks_of_an_easy_task(task):
    description = describe(task)
    assert (description.classes, description.samples, description.resolution, description.colour) == (3, 36, 12, False)
    assert description.balance == pytest.approx(1)
    assert description.nearest_neighbour == description.linear == 1
    expected = [np.log2(3) / 12, np.log10(36) / 7, np.log2(12) / 10, 0, 1, 1, 1]
    assert description.vector().dtype == np.float32
    assert description.vector() == pytest.approx(expected, abs=1e-6)


def test_the_landmarks_of_noise_are_near_chance(cache):
    noise = Blobs(n=1500)
    records = [
        replace(record, image=np.random.default_rng(i).integers(0, 255, (12, 12, 1)).astype(np.uint8))
        for i, record in enumerate(noise.records())
    ]
    noise.records, noise.fingerprint = (lambda: iter(records)), (lambda: "noise")
    task = make_task(noise, size=12, cache_dir=cache)
    description = describe(task)
    assert 0.23 < description.nearest_neighbour < 0.44
    assert 0.23 < description.linear < 0.44
    assert linear_baseline(task).validation < 0.45


def test_the_test_images_take_no_part_in_the_description(cache):
    task = make_task(Blobs(noise=100), size=12, cache_dir=cache)
    spoiled = replace(task, split=replace(task.split, test=task.split.test[:1]))
    assert describe(spoiled) == describe(task)


def test_a_task_without_validation_images_is_described_by_its_training_images(cache):
    task = make_task(Blobs(), size=12, cache_dir=cache, fractions=(0.8, 0.0, 0.2))
    assert describe(task).linear == 1


def test_the_description_and_the_baseline_are_the_same_every_time(task):
    assert describe(task) == describe(task)
    assert linear_baseline(task) == linear_baseline(task)


def test_the_linear_baseline_solves_what_is_linear_and_says_nothing_of_a_missing_side(task, cache):
    assert (linear_baseline(task).validation, linear_baseline(task).test) == (1, 1)
    untested = make_task(Blobs(), size=12, cache_dir=cache, fractions=(0.67, 0.33, 0.0), seed=32)
    assert linear_baseline(untested).test is None


def test_ten_thousand_images_are_described_within_two_seconds(cache):
    task = make_task(Blobs(n=10_000, classes=4), size=32, cache_dir=cache)
    started = time.process_time()
    describe(task)
    assert time.process_time() - started < 2
