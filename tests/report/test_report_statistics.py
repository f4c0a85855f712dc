from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasgym.report.statistics import (
    Mistake,
    bootstrap_interval,
    class_results,
    incumbents,
    interquartile_mean,
    mean_interval,
    mistakes,
    pareto_front,
    proportion_interval,
)

SCORES = st.floats(0, 1, allow_nan=False)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([], ()),
        ([None, None], (None, None)),
        ([None, 0.5, 0.3, None, 0.7], (None, 0.5, 0.5, 0.5, 0.7)),
        ([0.0, 0.0], (0.0, 0.0)),
    ],
)
def test_the_incumbent_is_the_best_score_so_far_and_failures_leave_it(scores, expected):
    assert incumbents(scores) == expected


@given(st.lists(st.none() | SCORES, min_size=1))
def test_the_incumbent_never_falls_and_ends_at_the_maximum(scores):
    curve = [score for score in incumbents(scores) if score is not None]
    assert curve == sorted(curve)
    known = [score for score in scores if score is not None]
    assert (curve[-1] if curve else None) == (max(known) if known else None)


@pytest.mark.parametrize(
    ("costs", "scores", "expected"),
    [
        ([], [], ()),
        ([10, 20, 30, 20], [0.5, 0.7, 0.6, 0.4], (0, 1)),
        ([10, 10], [0.5, 0.6], (1,)),
        ([10, 20], [0.5, 0.5], (0,)),
        ([10, 10], [0.5, 0.5], (0,)),
        ([30, 20, 10], [0.9, 0.8, 0.7], (2, 1, 0)),
    ],
)
def test_the_pareto_front_keeps_what_nothing_cheaper_or_equal_beats(costs, scores, expected):
    assert pareto_front(costs, scores) == expected


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 20)), min_size=1))
def test_a_point_off_the_front_is_matched_by_one_on_it_and_no_two_on_it_compare(points):
    costs, scores = [point[0] for point in points], [point[1] for point in points]
    front = pareto_front(costs, scores)
    for cost, score in points:
        assert any(costs[one] <= cost and scores[one] >= score for one in front)
    for one, other in pairwise(front):
        assert costs[one] < costs[other]
        assert scores[one] < scores[other]


def test_the_interquartile_mean_leaves_out_a_quarter_at_each_end():
    assert interquartile_mean(np.array([100.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, -100.0])) == pytest.approx(3.5)
    assert interquartile_mean(np.array([1.0, 2.0, 6.0])) == pytest.approx(3.0)
    rows = np.array([[0.0, 9.0], [2.0, 1.0], [4.0, 3.0], [50.0, -7.0]])
    np.testing.assert_allclose(interquartile_mean(rows, axis=0), [3.0, 2.0])


def test_the_bootstrap_interval_surrounds_its_estimate_and_repeats_with_its_seed():
    values = np.random.default_rng(0).normal(0.7, 0.05, 40).tolist()
    first = bootstrap_interval(values, seed=1)
    assert first == bootstrap_interval(values, seed=1)
    assert first != bootstrap_interval(values, seed=2)
    assert first.low < first.estimate < first.high
    assert first.estimate == pytest.approx(float(interquartile_mean(np.array(values))))


def test_the_bootstrap_interval_of_a_mean_has_the_width_that_theory_gives():
    values = np.random.default_rng(1).normal(0, 1, 400)
    interval = bootstrap_interval(values.tolist(), lambda sample: sample.mean(axis=-1), resamples=2000)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(400), rel=0.1)


def test_wilson_interval_agrees_with_the_published_example_and_stays_in_bounds():
    # Newcombe, Statistics in Medicine 17 (1998), Table I: 81 of 263, and 0 of 20.
    interval = proportion_interval(81 / 263, 263)
    assert (interval.low, interval.high) == (pytest.approx(0.2553, abs=1e-4), pytest.approx(0.3662, abs=1e-4))
    none = proportion_interval(0.0, 20)
    assert (none.low, none.high) == (0.0, pytest.approx(0.1611, abs=1e-4))


def test_classes_and_mistakes_are_read_from_the_rows_of_the_confusion_matrix():
    confusion = ((3, 1, 0), (2, 8, 0), (0, 0, 0))
    assert [result.accuracy for result in class_results(confusion)] == [0.75, 0.8, None]
    assert mistakes(confusion, limit=5) == (Mistake(1, 0, 2), Mistake(0, 1, 1))
    assert mistakes(confusion, limit=1) == (Mistake(1, 0, 2),)


def test_the_interval_of_a_mean_is_student_s():
    found = mean_interval([1.0, 2.0, 3.0])  # t = 4.3027 with 2 degrees of freedom, standard error 1 / √3
    assert (found.low, found.estimate, found.high) == pytest.approx((2 - 2.48414, 2.0, 2 + 2.48414), abs=1e-5)
    same = mean_interval([0.4, 0.4])
    assert (same.low, same.estimate, same.high) == pytest.approx((0.4, 0.4, 0.4))
    assert mean_interval([0.4]) is None
    assert mean_interval([]) is None
