"""Strategies: legal, distinct, reproducible, and evolution finds what random search does not."""

from dataclasses import replace

import numpy as np
import pytest

from nasgym.architectures import Architecture, LeafMerge, architecture_id, parse_architecture
from nasgym.architectures.spaces import load_space
from nasgym.core.errors import ConfigurationError
from nasgym.evaluation.feasibility import Feasibility
from nasgym.networks.profiles import DEFAULT, PAPER
from nasgym.strategies import STRATEGIES, Sampler, strategy_named
from nasgym.strategies.evolution import CLASSIC_HEADER, CLASSICS
from nasgym.tasks import Budget, Fidelity, Task

TASK = Task("shapes", "0" * 16, (32, 32, 3), 10, fidelity=Fidelity(epochs=1))
SPACES = ("chain", "multi-branch", "explicit", "edge", "joint")


def proposals(name: str, space: str, count: int, *, seed: int = 0, task: Task = TASK, profile=DEFAULT, late: int = 0):
    """Proposals with a made-up reward that comes `late` proposals late."""
    strategy = strategy_named(name)(Sampler(load_space(space), task, profile), seed)
    made: list[Architecture] = []
    for number in range(count):
        architecture = strategy.propose()
        if architecture is None:
            break
        made.append(architecture)
        if number >= late:
            strategy.feedback(made[number - late], convolutions(made[number - late]))
    return made


def convolutions(architecture: Architecture) -> float:
    return sum(layer.operation.token == "conv" for layer in architecture.layers) / 10


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", STRATEGIES)
def test_proposals_are_feasible_and_distinct(name, space):
    made = proposals(name, space, 40)
    feasibility = Feasibility(TASK, DEFAULT)
    assert len(made) == 40
    assert len({architecture_id(one, LeafMerge.TOGETHER) for one in made}) == 40
    assert all(feasibility.problem(one) is None for one in made)
    assert all(load_space(space).path(one) for one in made)


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_same_seed_and_rewards_give_the_same_proposals(name):
    first = proposals(name, "multi-branch", 30, seed=3, late=3)
    assert first == proposals(name, "multi-branch", 30, seed=3, late=3)
    assert first != proposals(name, "multi-branch", 30, seed=4, late=3)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_proposal_keeps_to_the_budget(name):
    task = TASK.with_budget(Budget(parameters=5_000))
    made = proposals(name, "chain", 30, task=task)
    assert len(made) == 30
    assert all(Feasibility(task, DEFAULT).problem(one) is None for one in made)


def test_a_paper_network_that_shrinks_below_a_pixel_is_never_proposed():
    assert all(Feasibility(TASK, PAPER).exists(one) for one in proposals("random", "chain", 60, profile=PAPER))


def test_random_depths_are_uniform():
    depths = [len(one) for one in proposals("random", "chain", 400)]
    counts = np.bincount(depths, minlength=11)[3:]
    assert counts.min() > 25
    assert counts.max() < 70


def test_a_space_that_runs_out_ends_the_search():
    strategy = strategy_named("random")(Sampler(load_space("chain", max_layers=1), TASK, DEFAULT), 0)
    made = [strategy.propose() for _ in range(8)]
    assert made[7] is None
    assert len({str(one) for one in made[:7]}) == 7


def test_evolution_finds_more_convolutions_than_random_search():
    def best(name: str) -> float:
        return float(np.mean([max(map(convolutions, proposals(name, "chain", 80, seed=seed))) for seed in range(8)]))

    assert best("evolution") > best("random") + 0.1


def test_an_unknown_strategy_is_refused_by_name():
    with pytest.raises(ConfigurationError, match=r"Unknown strategy 'evoluton'.*Did you mean 'evolution'"):
        strategy_named("evoluton")(Sampler(load_space("chain"), TASK, DEFAULT), 0)


@pytest.mark.parametrize(("space", "classics"), [("chain", 6), ("multi-branch", 6), ("edge", 6), ("cell201", 0)])
def test_warm_evolution_begins_with_the_classics_that_the_space_holds(space, classics):
    made = [replace(one, header=None) for one in proposals("warm-evolution", space, 8)]
    assert [str(one) for one in made[:classics]] == [str(parse_architecture(text)) for text in CLASSICS[:classics]]
    assert not {str(one) for one in made[classics:]} & set(CLASSICS)


def test_classics_get_a_header_where_the_space_has_one():
    assert [one.header for one in proposals("warm-evolution", "edge", 6)] == [CLASSIC_HEADER] * 6


def test_a_classic_over_the_budget_is_left_out():
    task = TASK.with_budget(Budget(parameters=20_000))
    assert str(proposals("warm-evolution", "chain", 1, task=task)[0]) == "conv3 maxpool2 conv3 maxpool2"
