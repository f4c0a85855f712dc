"""Splits: disjoint, complete, stratified, the same for the same content; official sides kept, groups never torn."""

import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from nasgym.core.errors import DataError
from nasgym.data import ImageDataset, Part, Record, SplitRules, load_dataset, make_split


@dataclass(frozen=True)
class Listed:
    """A source of images that are told by a number: (class, number, side, group)."""

    rows: tuple[tuple[str, int, Part | None, str | None], ...]
    name: str = "listed"

    def fingerprint(self) -> str:
        return repr(self.rows)

    def records(self) -> Iterator[Record]:
        for place, (label, number, part, group) in enumerate(self.rows):
            image = np.frombuffer(number.to_bytes(4, "big"), np.uint8).reshape(2, 2, 1)
            yield Record(f"{place}.png", image, label, part, group)


@pytest.fixture(scope="module")
def cache() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def listed(rows: Sequence[tuple], cache: Path) -> ImageDataset:
    full = tuple((row[0], row[1], *(row[2:] + (None,) * (4 - len(row)))) for row in rows)
    return load_dataset(Listed(full), size=2, cache_dir=cache)


def counted(counts: Sequence[int], cache: Path) -> ImageDataset:
    return listed([(f"c{c}", 1000 * c + i) for c, n in enumerate(counts) for i in range(n)], cache)


def contents(dataset: ImageDataset, indices: np.ndarray) -> Counter:
    return Counter((dataset.class_names[dataset.labels[i]], dataset.images[i].tobytes()) for i in indices)


class_sizes = st.lists(st.integers(3, 40), min_size=2, max_size=6)


@settings(max_examples=60, deadline=None)
@given(counts=class_sizes, seed=st.integers(0, 5))
def test_sides_are_disjoint_complete_and_stratified(counts, seed, cache):
    dataset = counted(counts, cache)
    result = make_split(dataset, SplitRules(seed=seed))
    together = np.concatenate(result.split.sides())
    assert sorted(together) == list(range(sum(counts)))
    assert result.dropped == ()
    for label, n in enumerate(counts):
        held = [int((dataset.labels[side] == label).sum()) for side in result.split.sides()]
        assert min(held) >= 1
        assert abs(held[1] - 0.2 * n) <= 0.5 or held[1] == 1
        assert held[1] == held[2]


@settings(max_examples=40, deadline=None)
@given(counts=class_sizes, order=st.randoms(use_true_random=False), seed=st.integers(0, 5))
def test_the_same_content_in_another_order_is_split_the_same(counts, order, seed, cache):
    rows = [(f"c{c}", 1000 * c + i) for c, n in enumerate(counts) for i in range(n)]
    shuffled = rows[:]
    order.shuffle(shuffled)
    one, two = listed(rows, cache), listed(shuffled, cache)
    assert one.fingerprint == two.fingerprint
    assert make_split(one, SplitRules(seed=seed)).split == make_split(two, SplitRules(seed=seed)).split


@settings(max_examples=25, deadline=None)
@given(counts=class_sizes, seed=st.integers(0, 5))
def test_another_class_does_not_change_how_the_others_are_split(counts, seed, cache):
    less, more = counted([*counts[:-1], 5], cache), counted([*counts[:-1], 5, counts[-1]], cache)
    kept = [f"c{label}" for label in range(len(counts))]
    for side, other in zip(
        make_split(less, SplitRules(seed=seed)).split.sides(),
        make_split(more, SplitRules(seed=seed)).split.sides(),
        strict=True,
    ):
        here = {key: n for key, n in contents(more, other).items() if key[0] in kept}
        assert here == dict(contents(less, side))


@st.composite
def grouped_rows(draw) -> list[tuple]:
    rows = []
    for label in range(draw(st.integers(2, 4))):
        for group in range(draw(st.integers(4, 12))):
            shared = draw(st.booleans()) and group < 2
            name = f"shared{group}" if shared else f"c{label}g{group}"
            rows += [
                (f"c{label}", 100_000 * label + 100 * group + i, None, name) for i in range(draw(st.integers(1, 8)))
            ]
    return rows


@settings(max_examples=60, deadline=None)
@given(rows=grouped_rows(), seed=st.integers(0, 5))
def test_no_group_lies_on_two_sides(rows, seed, cache):
    dataset = listed(rows, cache)
    try:
        result = make_split(dataset, SplitRules(seed=seed))
    except DataError:
        event("too few groups in a class")
        return
    sides = defaultdict(set)
    for place, side in enumerate(result.split.sides()):
        for index in side:
            sides[dataset.groups[index]].add(place)
    assert all(len(places) == 1 for places in sides.values())
    assert sum(len(side) for side in result.split.sides()) == np.isin(dataset.labels, result.classes).sum()


def test_groups_of_equal_size_are_shared_out_as_the_fractions_say(cache):
    rows = [
        (f"c{c}", 10_000 * c + 100 * g + i, None, f"{c}/{g}") for c in range(3) for g in range(10) for i in range(7)
    ]
    dataset = listed(rows, cache)
    split = make_split(dataset, SplitRules()).split
    for side, groups in zip(split.sides(), (6, 2, 2), strict=True):
        assert np.bincount(dataset.labels[side]).tolist() == [7 * groups] * 3


def test_images_without_a_group_are_groups_of_their_own(cache):
    rows = [
        (f"c{c}", 1000 * c + i, None, "together" if i < 5 and c == 0 else None) for c in range(2) for i in range(20)
    ]
    dataset = listed(rows, cache)
    split = make_split(dataset, SplitRules()).split
    assert [len(side) for side in split.sides()] == [24, 8, 8]


def test_a_group_pattern_is_taken_from_the_paths(tmp_path):
    from data_samples import png, write_folder

    files = {
        f"{c}/0000{t}_0000{f}.png": png(100 * c + 10 * t + f) for c in range(2) for t in range(5) for f in range(3)
    }
    dataset = load_dataset(write_folder(tmp_path / "signs", files), size=8, cache_dir=tmp_path / "cache")
    split = make_split(dataset, SplitRules(group_pattern="{group}_*")).split
    tracks = [{path.rsplit("_")[0] for path in dataset.paths[side]} for side in split.sides()]
    assert [len(side) for side in tracks] == [6, 2, 2]
    assert len(set.union(*tracks)) == 10


def official(parts: dict[Part, int]) -> list[tuple]:
    return [
        (f"c{c}", 10_000 * c + 1000 * place + i, part)
        for c in range(2)
        for place, (part, n) in enumerate(parts.items())
        for i in range(n)
    ]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({Part.TRAIN: 8, Part.TEST: 5}, (6, 2, 5)),
        ({Part.TRAIN: 8, Part.VALIDATION: 5}, (6, 5, 2)),
        ({Part.TRAIN: 8, Part.VALIDATION: 3, Part.TEST: 5}, (8, 3, 5)),
    ],
    ids=["validation drawn from train", "test drawn from train", "nothing drawn"],
)
def test_official_sides_stay_and_a_missing_one_is_drawn_from_train(parts, expected, cache):
    dataset = listed(official(parts), cache)
    split = make_split(dataset, SplitRules()).split
    assert [len(side) for side in split.sides()] == [2 * n for n in expected]
    for side, part in zip(split.sides(), Part, strict=True):
        given_sides = {list(Part)[code] for code in dataset.official_split[side]}
        assert given_sides == {part if part in parts else Part.TRAIN}


def test_an_official_split_can_be_ignored(cache):
    dataset = listed(official({Part.TRAIN: 5, Part.TEST: 5}), cache)
    assert [len(side) for side in make_split(dataset, SplitRules(official=False)).split.sides()] == [12, 4, 4]


def test_images_on_no_side_of_an_official_split_are_left_out_and_listed(cache):
    dataset = listed([*official({Part.TRAIN: 5, Part.TEST: 5}), ("c0", 77_777, None)], cache)
    assert [problem.why for problem in dataset.problems] == ["on no side of the official split"]


def test_the_papers_split_can_be_expressed(cache):
    dataset = counted([100, 100], cache)
    rules = SplitRules(seed=32, fractions=(0.67, 0.33, 0.0))
    assert [len(side) for side in make_split(dataset, rules).split.sides()] == [134, 66, 0]


def test_other_seeds_draw_other_splits(cache):
    dataset = counted([30, 30], cache)
    assert len({make_split(dataset, SplitRules(seed=seed)).split for seed in range(5)}) == 5


def test_classes_too_small_for_the_split_are_left_out_and_listed(cache):
    result = make_split(counted([10, 2, 10, 1], cache), SplitRules())
    assert result.classes == (0, 2)
    assert [str(drop) for drop in result.dropped] == [
        "class 'c1': too small for the split (0 train, 1 validation, 1 test)",
        "class 'c3': too small for the split (0 train, 1 validation, 0 test)",
    ]


def test_fewer_than_two_large_classes_are_no_task(cache):
    with pytest.raises(
        DataError, match=r"listed: 1 of 2 classes are large enough for the split, two are needed\.\n  class 'c1'"
    ):
        make_split(counted([10, 2], cache), SplitRules())


def test_classes_are_chosen_by_name_or_pattern(cache):
    dataset = listed(
        [(name, 10 * place + i) for place, name in enumerate(("a/x", "a/y", "b/x")) for i in range(5)], cache
    )
    assert make_split(dataset, SplitRules(classes=("a/*",))).classes == (0, 1)
    assert make_split(dataset, SplitRules(classes=("b/x", "a/y"))).classes == (1, 2)
    with pytest.raises(DataError, match=r"listed has no class 'a/z'\. Did you mean 'a/"):
        make_split(dataset, SplitRules(classes=("a/z",)))


def test_caps_limit_the_images_of_a_class_and_in_all(cache):
    dataset = counted([40, 20, 10], cache)
    capped = make_split(dataset, SplitRules(max_per_class=10)).split
    assert sum(len(side) for side in capped.sides()) == 30
    fewer = make_split(dataset, SplitRules(max_images=35)).split
    assert np.bincount(dataset.labels[np.concatenate(fewer.sides())]).tolist() == [20, 10, 5]
    nothing = make_split(dataset, SplitRules(max_images=700)).split
    assert sum(len(side) for side in nothing.sides()) == 70


def test_a_cap_keeps_the_proportions_of_official_sides(cache):
    dataset = listed(official({Part.TRAIN: 50, Part.VALIDATION: 10, Part.TEST: 20}), cache)
    split = make_split(dataset, SplitRules(max_per_class=8)).split
    assert [len(side) for side in split.sides()] == [10, 2, 4]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fractions": (0.5, 0.5, 0.5)}, r"must be three numbers from 0 that sum to 1"),
        ({"fractions": (1.2, -0.2, 0)}, r"must be three numbers from 0 that sum to 1"),
        ({"fractions": (1, 0, 0)}, r"leave nothing to train on, or nothing to judge by"),
        ({"max_per_class": 0}, r"max_per_class=0 leaves no images"),
    ],
)
def test_rules_that_leave_nothing_are_refused(options, message):
    with pytest.raises(DataError, match=message):
        SplitRules(**options)


def test_indices_cannot_be_changed(cache):
    split = make_split(counted([5, 5], cache), SplitRules()).split
    with pytest.raises(ValueError, match="read-only"):
        split.train[0] = 3


def test_the_split_of_the_digits_does_not_drift(tmp_path):
    dataset = load_dataset("digits", size=32, cache_dir=tmp_path)
    split = make_split(dataset, SplitRules()).split
    assert [len(side) for side in split.sides()] == [1079, 359, 359]
    assert split.fingerprint == "e0c4d64ad1e11c811ef592ef7b9c0607"
