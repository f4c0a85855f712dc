"""Recipes, schedules and fingerprints: `nasgym.evaluation.recipes`."""

from dataclasses import replace
from itertools import pairwise

import pytest

from nasgym.core.errors import ConfigurationError
from nasgym.evaluation.recipes import (
    DEFAULT_RECIPE,
    PAPER_INTENSIVE_RECIPE,
    PAPER_RECIPE,
    PROFILES,
    Adam,
    ExponentialDecay,
    Inputs,
    OneCycle,
    Precision,
    Weights,
    training_profile,
)
from nasgym.networks.profiles import DenseHead


def test_the_paper_recipe_is_that_of_the_paper() -> None:
    assert PAPER_RECIPE.optimizer == Adam(beta1=0.9, beta2=0.999, epsilon=1e-7, weight_decay=0.0)
    assert PAPER_RECIPE.epochs == 12
    assert (PAPER_RECIPE.batch_size, PAPER_RECIPE.branch_batch_size) == (128, 64)
    assert PAPER_RECIPE.label_smoothing == 0.0
    assert PAPER_RECIPE.precision is Precision.BFLOAT16_WHERE_FAST
    assert PAPER_RECIPE.inputs is Inputs.UNIT
    head = training_profile("paper").network.head
    assert head == DenseHead(units=(1024,), dropout=0.4)


def test_the_paper_learning_rate_falls_to_a_fifth_every_five_epochs() -> None:
    steps_per_epoch, n_steps = 10, 120
    rates = [PAPER_RECIPE.learning_rate_at(step, steps_per_epoch, n_steps) for step in (0, 49, 50, 99, 100, 119)]
    assert rates == pytest.approx([1e-3, 1e-3, 2e-4, 2e-4, 4e-5, 4e-5])


def test_the_intensive_learning_rate_falls_by_a_tenth_every_hundred_steps() -> None:
    assert PAPER_INTENSIVE_RECIPE.schedule == ExponentialDecay(factor=0.9, steps=100)
    rates = [PAPER_INTENSIVE_RECIPE.learning_rate_at(step, 7, 700) for step in (0, 50, 100, 200)]
    assert rates == pytest.approx([1e-3, 1e-3 * 0.9**0.5, 9e-4, 8.1e-4])
    assert PAPER_INTENSIVE_RECIPE.epochs == 100
    assert PAPER_INTENSIVE_RECIPE.weights is Weights.LAST


def test_the_intensive_profile_has_wider_layers_and_the_baseline_no_dropout() -> None:
    assert training_profile("paper-intensive").network.head == DenseHead(units=(4096,), dropout=0.4)
    assert training_profile("vgg19-like").network.head == DenseHead(units=(4096, 4096), dropout=0.0)
    assert training_profile("vgg19-like").search == PAPER_INTENSIVE_RECIPE


def test_one_cycle_rises_in_a_line_and_falls_in_half_a_cosine() -> None:
    recipe = replace(DEFAULT_RECIPE, learning_rate=1.0, schedule=OneCycle(warm_up=0.25))
    rates = [recipe.learning_rate_at(step, 2, 16) for step in range(16)]
    assert rates[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert rates[10] == pytest.approx(0.5)  # half-way down: 4 + (16 - 4) / 2
    assert rates[15] == pytest.approx(0.0170371, abs=1e-6)  # (1 + cos(11π / 12)) / 2
    assert all(later <= earlier for earlier, later in pairwise(rates[3:]))


def test_one_cycle_of_a_single_step_is_at_its_peak() -> None:
    assert replace(DEFAULT_RECIPE, learning_rate=0.5).learning_rate_at(0, 1, 1) == 0.5


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_is_found_by_the_name_of_its_network_profile(name: str) -> None:
    assert training_profile(name).name == name == training_profile(name).network.name


def test_an_unknown_profile_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(
        ConfigurationError, match=r"Unknown training profile 'papper' \(known: .*Did you mean 'paper'\?"
    ):
        training_profile("papper")


def test_fingerprints_differ_between_profiles_and_between_recipes() -> None:
    fingerprints = {profile.fingerprint for profile in PROFILES.values()}
    assert len(fingerprints) == len(PROFILES)
    default = training_profile("default")
    slower = replace(default, search=replace(default.search, learning_rate=default.search.learning_rate / 2))
    narrower = replace(default, network=replace(default.network, base_width=8))
    assert len({default.fingerprint, slower.fingerprint, narrower.fingerprint}) == 3


def test_what_no_search_evaluation_depends_on_leaves_the_fingerprint_alone() -> None:
    default = training_profile("default")
    longer = replace(default, search=replace(default.search, epochs=99), final=PAPER_RECIPE)
    assert longer.fingerprint == default.fingerprint
