"""Each plug-in, found through its entry point, keeps the contract that nasgym ships; a broken one fails it."""

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from itertools import count
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from nasgym_example.estimator import RandomFeatures
from nasgym_example.reader import MatSource
from nasgym_example.space import MAX_BLOCKS, VggBlocksSpace
from nasgym_example.store import JsonLinesStore, open_jsonl
from numpy.typing import NDArray
from scipy.io import savemat
from sklearn.datasets import load_digits

from nasgym.architectures import LeafMerge, parse_architecture
from nasgym.architectures.spaces import Draft, load_space
from nasgym.core.errors import ArchitectureError, ConfigurationError, DataError, StoreError
from nasgym.data import Record, open_source
from nasgym.evaluation import Completed, EvaluationRequest, Failed, FailureKind, Outcome
from nasgym.evaluation.loading import load_estimator
from nasgym.evaluation.recipes import training_profile
from nasgym.store import Step, Store, open_store
from nasgym.tasks import ImageTask, Task, make_task
from nasgym.testing.estimators import check_estimator
from nasgym.testing.readers import check_reader
from nasgym.testing.spaces import SPACE_CHECKS, check_search_space
from nasgym.testing.stores import CHECKS, check_store, request_and_key

N_IMAGES = 60


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> ImageTask:
    return make_task("digits", size=16, max_images=300, cache_dir=tmp_path_factory.mktemp("cache"))


def mat_file(path: Path, start: int = 0) -> Path:
    digits = load_digits()
    chosen = slice(start, start + N_IMAGES)
    images = (digits.images[chosen] * 15).astype(np.uint8)
    savemat(path, {"X": np.stack([images] * 3, axis=-1).transpose(1, 2, 3, 0), "y": digits.target[chosen, None]})
    return path


# --- the search space


@pytest.mark.parametrize("check", SPACE_CHECKS, ids=lambda check: check.__name__)
def test_the_space_keeps_its_contract(check: Callable[..., None]) -> None:
    check(load_space("vgg-blocks"))


def test_the_space_holds_121_networks() -> None:
    counts = load_space("vgg-blocks").count_by_depth(LeafMerge.TOGETHER)
    assert sum(number for number in counts if number is not None) == 1 + 3 + 9 + 27 + 81
    assert counts[:5] == [1, 0, 1, 1, 2]  # none; –; conv pool; conv conv pool; conv conv conv pool, or two small blocks


def test_a_network_of_two_blocks_is_read_as_its_actions() -> None:
    space = load_space("vgg-blocks")
    assert space.path(parse_architecture("conv3 conv3 maxpool2 conv3 maxpool2")) == (1, 0, 3)
    with pytest.raises(ArchitectureError, match=r"'conv5 maxpool2' is not in space 'vgg-blocks', .* 'conv3 maxpool2'"):
        space.path(parse_architecture("conv5 maxpool2"))


class ForgetsTheLastBlock(VggBlocksSpace):
    def observe(self, draft: Draft) -> NDArray[np.float32]:
        grid = super().observe(draft).reshape(MAX_BLOCKS, -1)
        grid[-1] = (1, 0, 0, 0, 0)
        return grid.ravel()


def test_a_broken_space_fails_with_the_reason() -> None:
    with pytest.raises(AssertionError, match="two drafts look the same"):
        check_search_space(ForgetsTheLastBlock())


# --- the estimator


def test_the_estimator_keeps_its_contract(task: ImageTask) -> None:
    check_estimator(lambda: load_estimator("random-features"), task)


def test_the_hidden_layer_of_the_paper_profile_is_random_too(task: ImageTask) -> None:
    request = EvaluationRequest.of(parse_architecture("conv3 maxpool2 maxpool2"), task)
    outcome = load_estimator("random-features", training_profile("paper")).evaluate(request)
    assert isinstance(outcome, Completed)
    assert outcome.accuracy > 0.5


def test_features_of_a_convolution_tell_digits_apart_better_than_pixel_averages_do(task: ImageTask) -> None:
    estimator = load_estimator("random-features")
    outcomes = [
        estimator.evaluate(EvaluationRequest.of(parse_architecture(text), task))
        for text in ("empty", "conv3 conv3 maxpool2 conv3")
    ]
    empty, convolutions = (outcome.accuracy if isinstance(outcome, Completed) else 0.0 for outcome in outcomes)
    assert convolutions > empty + 0.2
    assert convolutions > 0.5


def test_a_task_without_images_is_refused() -> None:
    request = EvaluationRequest.of(parse_architecture("conv3"), Task("none", "none", (8, 8, 1), 2))
    with pytest.raises(ConfigurationError, match=r"Task 'none' has no images .* use make_task"):
        load_estimator("random-features").evaluate(request)


class ChangesItsMind(RandomFeatures):
    calls = count()

    def evaluate(self, request: EvaluationRequest) -> Outcome:
        outcome = super().evaluate(request)
        better = 0.001 * next(self.calls)
        return Completed(outcome.accuracy + better, outcome.metrics) if isinstance(outcome, Completed) else outcome


def test_a_broken_estimator_fails_with_the_reason(task: ImageTask) -> None:
    with pytest.raises(AssertionError, match=r"'conv3 maxpool2 conv3' after another network: .* but they must agree"):
        check_estimator(lambda: ChangesItsMind(training_profile("default")), task)


# --- the data reader


def test_the_reader_keeps_its_contract(tmp_path: Path) -> None:
    one, other = mat_file(tmp_path / "one.mat"), mat_file(tmp_path / "other.mat", start=N_IMAGES)
    check_reader(
        lambda: open_source(f"mat:{one}"),
        changed=lambda: open_source(f"mat:{other}"),
        missing=lambda: open_source(f"mat:{tmp_path}/none.mat"),
    )


def test_images_come_back_as_they_were_saved(tmp_path: Path) -> None:
    records = list(open_source(f"mat:{mat_file(tmp_path / 'digits.mat')}").records())
    third = records[3]
    assert isinstance(third, Record)
    assert isinstance(third.image, np.ndarray)
    assert (third.path, third.label, third.image.shape) == ("digits.mat[3]", "3", (8, 8, 3))
    assert np.array_equal(third.image[..., 0], (load_digits().images[3] * 15).astype(np.uint8))


def test_files_that_hold_no_images_are_refused_with_the_reason(tmp_path: Path) -> None:
    file = tmp_path / "file.mat"
    for content, message in (
        ({"X": np.zeros((4, 4, 3, 2), np.uint8)}, r"file\.mat: no array y; images are X and labels y"),
        ({"X": np.zeros((4, 4, 2)), "y": [[1, 2]]}, r"X is \(4, 4, 2\) float64 and y has 2 labels; expected uint8"),
    ):
        savemat(file, content)
        with pytest.raises(DataError, match=message):
            list(MatSource(str(file)).records())
    file.write_bytes(b"MATLAB" * 40)
    with pytest.raises(DataError, match=r"file\.mat: not a MATLAB file, or damaged"):
        list(MatSource(str(file)).records())


class KnowsItsNameOnly(MatSource):
    def fingerprint(self) -> str:
        return str(len(super().fingerprint()))


def test_a_broken_reader_fails_with_the_reason(tmp_path: Path) -> None:
    one, other = mat_file(tmp_path / "one.mat"), mat_file(tmp_path / "other.mat", start=N_IMAGES)
    with pytest.raises(AssertionError, match="other data have the same fingerprint, '32'; the old images would be"):
        check_reader(lambda: KnowsItsNameOnly(str(one)), changed=lambda: KnowsItsNameOnly(str(other)))


# --- the store


@pytest.fixture
def new_url(tmp_path: Path) -> Callable[[], str]:
    numbers = count()
    return lambda: f"jsonl://{tmp_path}/{next(numbers)}/store.jsonl"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_store_keeps_its_contract(check: Callable[[Store], None], new_url: Callable[[], str]) -> None:
    with open_store(new_url()) as store:
        check(store)


def test_a_line_that_breaks_off_is_cut_off_by_the_next_writer(new_url: Callable[[], str]) -> None:
    url = new_url()
    request, key = request_and_key()
    with open_store(url) as store:
        store.put(request, key, Completed(0.5))
    path = Path(url.removeprefix("jsonl://"))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"evaluations": [{"id"')
    other_request, other_key = request_and_key(seed=1)
    with open_store(url) as store:
        assert store.get(key) == Completed(0.5)
        store.put(other_request, other_key, Failed(FailureKind.DIVERGED, "Loss is NaN."))
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 2
    assert lines[0] == whole


def test_two_stores_on_one_file_see_what_the_other_puts(new_url: Callable[[], str]) -> None:
    url = new_url()
    first, second = open_store(url), open_store(url)
    for seed, (writer, reader) in enumerate([(first, second), (second, first), (first, second)]):
        request, key = request_and_key(seed=seed)
        writer.put(request, key, Completed(0.5))
        assert reader.get(key) == Completed(0.5)
    assert len(list(first.evaluations())) == 3


def put_seeds(url: str, first: int, last: int) -> None:
    with open_store(url) as store:
        for seed in range(first, last):
            request, key = request_and_key(seed=seed)
            store.put(request, key, Completed(0.5))


def test_processes_with_overlapping_keys_lose_and_repeat_nothing(new_url: Callable[[], str]) -> None:
    url = new_url()
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        for future in [pool.submit(put_seeds, url, 0, 60), pool.submit(put_seeds, url, 30, 90)]:
            future.result()
    assert sorted(row.key.seed for row in open_store(url).evaluations()) == list(range(90))


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("hello\n")
    with pytest.raises(StoreError, match=r"notes\.txt: the line at byte 0 is no transaction"):
        open_store(f"jsonl://{file}")
    assert file.read_text() == "hello\n"


class AnswersAsTold(JsonLinesStore):
    def save_steps(self, steps: Iterable[Step]) -> list[Step]:
        told = list(steps)
        super().save_steps(told)
        return told


def test_a_broken_store_fails_with_the_reason(new_url: Callable[[], str]) -> None:
    def make() -> Store:
        url = new_url()
        open_jsonl(url)
        return AnswersAsTold(Path(url.removeprefix("jsonl://")))

    with pytest.raises(AssertionError, match="a step recorded again must stay as it was"):
        check_store(make)
