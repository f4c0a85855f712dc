"""Rows by 64-bit keys: the same as a dictionary, whatever the keys."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasgym.core.randomness import stream
from nasgym.evaluation.tables import KeyIndex

KEYS = st.integers(0, 2**64 - 1)


def as_keys(numbers: list[int]) -> np.ndarray:
    return np.array(numbers, dtype=np.uint64)


@given(st.lists(KEYS, unique=True, max_size=60), st.lists(KEYS, max_size=20))
def test_every_key_is_found_at_its_place_and_no_other_is(known: list[int], asked: list[int]) -> None:
    index = KeyIndex(as_keys(known))
    places = {key: row for row, key in enumerate(known)}
    questions = known + asked
    assert index.rows(as_keys(questions)).tolist() == [places.get(key, -1) for key in questions]


@pytest.mark.parametrize("step", [1, 2**32, 2**40 + 8])
def test_regular_keys_do_not_crowd(step: int) -> None:
    keys = np.arange(2000, dtype=np.uint64) * np.uint64(step)
    index = KeyIndex(keys)
    assert index.rows(keys).tolist() == list(range(2000))
    assert (index.rows(keys + np.uint64(1))[: 2 if step == 1 else None] == -1).sum() == (0 if step == 1 else 2000)


def test_keys_of_one_home_stand_one_after_another() -> None:
    home = KeyIndex(as_keys([0])).rows  # the multiplier is odd: its inverse gives keys that hash to chosen slots
    inverse = pow(0x9E3779B97F4A7C15, -1, 2**64)
    keys = as_keys([(slot * inverse) % 2**64 for slot in range(40)])
    index = KeyIndex(keys[:20])
    assert index.rows(keys).tolist() == [*range(20), *[-1] * 20]
    assert home(as_keys([0, 5])).tolist() == [0, -1]


def test_a_million_keys_and_as_many_strangers() -> None:
    keys = stream(0, "keys").permutation(np.arange(2_000_000, dtype=np.uint64) * np.uint64(3))
    index = KeyIndex(keys[:1_000_000])
    assert np.array_equal(index.rows(keys[:1_000_000]), np.arange(1_000_000))
    assert (index.rows(keys[1_000_000:]) == -1).all()
