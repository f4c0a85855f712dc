"""`benchmarks.evaluate_paper`: what it publishes of what it measured."""

import numpy as np
import pytest
from benchmarks.evaluate_paper import COMPILED, EXACT, Trained, figures, interval, networks

from nasgym.evaluation.recipes import Precision
from nasgym.tasks import ImageTask


def test_figures_are_those_of_the_networks() -> None:
    rows = [
        Trained(0.5, 0.4, 0.45, (1.0, 4.0), 1000, branches=False),
        Trained(0.6, 0.7, 0.45, (3.0, 6.0), 1000, branches=True),
        Trained(0.8, 0.7, 0.90, (1.0, 5.0), 1000, branches=True),
    ]
    found = figures("some", rows)
    named = {figure.name: figure for figure in found}
    assert named["some: mean accuracy"].value == pytest.approx(190 / 3)
    assert named["some: mean accuracy"].baseline == pytest.approx(60)
    assert named["some: mean difference"].value == pytest.approx(10 / 3)
    assert named["some: mean absolute difference"].value == pytest.approx(10)
    assert named["some: lower end of its 95 % interval"].met
    assert named["some: upper end"].met
    assert named["some, all: rate"].value == pytest.approx(600)
    assert named["some, all: rate"].ratio == pytest.approx(3)
    assert named["some, chains: rate"].ratio == pytest.approx(4)
    assert named["some, multi-branch: networks"].value == pytest.approx(1800)
    assert named["some, all: median of the ratios of single networks"].value == pytest.approx(4)
    taus = [figure.value for figure in found if figure.unit == ""]
    assert taus == pytest.approx([2 / 6**0.5, 1 / 2])


def test_a_difference_that_is_always_there_has_an_interval_without_zero() -> None:
    low, high = interval(np.full(12, 3.0) + np.linspace(-1, 1, 12))
    assert 2 < low < 3 < high < 4
    low, high = interval(np.linspace(-5, 5, 12))
    assert low < 0 < high


def test_networks_come_from_both_spaces_in_turn_and_both_sides_differ_in_precision_alone(
    stripes_task: ImageTask,
) -> None:
    drawn = networks(stripes_task, 6)
    assert networks(stripes_task, 6) == drawn
    assert not any(architecture.is_multi_branch for architecture in drawn[::2])
    assert len(set(drawn)) == 6
    assert (COMPILED.search.precision, EXACT.search.precision) == (Precision.BFLOAT16_WHERE_FAST, Precision.FLOAT32)
    assert COMPILED.network == EXACT.network
