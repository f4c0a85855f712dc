"""Looking up thousands of networks at once finds what looking up one by one finds."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_tables import TASKS, small_table

from nasgym.architectures import Architecture, Layer, LeafMerge, Operation, architecture_id
from nasgym.architectures.actions import AddLayer
from nasgym.architectures.spaces import load_space
from nasgym.envs import ENVIRONMENTS, ArchitectureEnv
from nasgym.envs.vector import ArchitectureVectorEnv
from nasgym.envs.vector.colours import GraphKeys
from nasgym.envs.vector.graphs import GraphArrays
from nasgym.evaluation import Completed
from nasgym.evaluation.tables import Repeats, TableBuilder, TabularBenchmark
from nasgym.networks.plan import plan
from nasgym.networks.profiles import DEFAULT, PAPER, NetworkProfile
from nasgym.tasks import Budget
from nasgym.testing.closed_form import ClosedFormEstimator
from nasgym.testing.vector_environments import check_vector_environment

SETTINGS: dict[str, dict[str, Any]] = {
    "every step": {},
    "terminal improvement": {"reward_timing": "terminal", "objective": "improvement"},
    "within a budget": {"budget": Budget(parameters=5_000)},
    "full reward": {"reward": "blockqnn"},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("name", [*ENVIRONMENTS.values(), "edge-mini"])
def test_on_a_table_the_vector_form_equals_single_forms(name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    table = small_table(tmp_path, load_space(name))
    repeated = ((TASKS[0].task, Repeats.SEED), (TASKS[1].task, Repeats.MEAN))
    for task, repeats in repeated if not settings else repeated[1:]:
        given: dict[str, Any] = {
            "space": name,
            "task": task,
            "estimator": TabularBenchmark(table, repeats=repeats),
            **settings,
        }
        check_vector_environment(
            lambda n, given=given: ArchitectureVectorEnv(n, autoreset_mode="SameStep", **given),
            lambda given=given: ArchitectureEnv(**given),
            steps=30,
        )


def test_the_second_repeat_of_a_task_is_looked_up_too(tmp_path: Path) -> None:
    table = small_table(tmp_path, load_space("chain"))
    second = replace(TASKS[0].task, evaluation_seed=1)
    given: dict[str, Any] = {"task": second, "estimator": TabularBenchmark(table)}
    check_vector_environment(lambda n: ArchitectureVectorEnv(n, **given), lambda: ArchitectureEnv(**given), steps=30)


@pytest.mark.parametrize(
    "task",
    [replace(TASKS[0].task, fingerprint="unknown"), replace(TASKS[0].task, evaluation_seed=9)],
    ids=["another task", "another seed"],
)
def test_what_a_table_does_not_hold_is_missing(task: Any, tmp_path: Path) -> None:
    envs = ArchitectureVectorEnv(2, task=task, estimator=TabularBenchmark(small_table(tmp_path, load_space("chain"))))
    envs.reset()
    _, rewards, *_, infos = envs.step(np.array([1, 3]))
    assert rewards.tolist() == [0, 0]
    assert infos["failure"].tolist() == ["missing", "missing"]


def test_a_table_of_another_kind_of_networks_holds_none_of_a_space(tmp_path: Path) -> None:
    for table_space, space in (("edge", "chain"), ("chain", "edge"), ("cell201", "macro"), ("multi-branch", "chain")):
        table = small_table(tmp_path, load_space(table_space))
        given: dict[str, Any] = {"space": space, "task": TASKS[1].task, "estimator": TabularBenchmark(table)}
        check_vector_environment(
            lambda n, given=given: ArchitectureVectorEnv(n, **given),
            lambda given=given: ArchitectureEnv(**given),
            steps=20,
        )


WORDS = (
    AddLayer(Operation.CONVOLUTION, 1),
    AddLayer(Operation.MAX_POOLING, 2),
    AddLayer(Operation.ADDITION),
    AddLayer(Operation.CONCATENATION),
)


def random_graph(draw: random.Random, depth: int) -> Architecture:
    layers: list[Layer] = []
    for index in range(1, draw.randint(0, depth) + 1):
        word = WORDS[draw.randrange(4 if index > 1 else 2)]
        sources = [draw.randrange(1, index) for _ in range(2)] if word.operation.arity == 2 else [draw.randrange(index)]
        layers.append(Layer(word.operation, word.kernel, tuple(sources)))
    return Architecture(tuple(layers))


def as_arrays(architectures: list[Architecture], depth: int) -> GraphArrays:
    graphs = GraphArrays.empty(len(architectures), depth)
    kinds = [(word.operation, word.kernel) for word in WORDS]
    for row, architecture in enumerate(architectures):
        graphs.depth[row] = len(architecture)
        for place, layer in enumerate(architecture.layers):
            graphs.words[row, place] = kinds.index((layer.operation, layer.kernel))
            graphs.first[row, place] = layer.inputs[0]
            graphs.second[row, place] = layer.inputs[1] if len(layer.inputs) > 1 else 0
    return graphs


@pytest.mark.parametrize("leaves", list(LeafMerge), ids=lambda merge: merge.value)
@pytest.mark.parametrize("depth", [3, 4, 6])
def test_two_graphs_have_one_key_if_and_only_if_they_have_one_canonical_id(leaves: LeafMerge, depth: int) -> None:
    draw = random.Random(depth)
    architectures = [random_graph(draw, depth) for _ in range(2000)]
    keys, have = GraphKeys(WORDS, depth, leaves).of(as_arrays(architectures, depth))
    ids = [architecture_id(architecture, leaves) for architecture in architectures]
    by_id: dict[str, set[Any]] = {}
    for name, key, has in zip(ids, keys.tolist(), have.tolist(), strict=True):
        by_id.setdefault(name, set()).add(key if has else None)
    assert {len(found) for found in by_id.values()} == {1}, "one network has two keys, or a key and none"
    found = [key for keys in by_id.values() for key in keys if key is not None]
    assert len(set(found)) == len(found), "two networks have one key"
    assert len(found) > 0.9 * len(by_id), "hardly any graph has a key"


def test_equal_branches_that_are_added_have_no_key() -> None:
    convolution = Layer(Operation.CONVOLUTION, 1, (0,))
    twins = Architecture((convolution, convolution, Layer(Operation.ADDITION, 0, (1, 2))))
    different = Architecture((convolution, convolution, Layer(Operation.CONCATENATION, 0, (1, 2))))
    _, have = GraphKeys(WORDS, 3, LeafMerge.TOGETHER).of(as_arrays([twins, different], 3))
    assert have.tolist() == [False, True], "addition lets two layers change places; concatenation does not"


def test_graphs_without_a_key_are_found_all_the_same(tmp_path: Path) -> None:
    space = load_space("multi-branch")
    twins = Architecture((*[Layer(Operation.CONVOLUTION, 3, (0,))] * 2, Layer(Operation.ADDITION, 0, (1, 2))))
    table = small_table(tmp_path, space, n=1)
    builder = TableBuilder(table.description)
    builder.add(twins, TASKS[1].fingerprint, 5, Completed(0.625))
    estimator = TabularBenchmark(builder.write(tmp_path / "twins.nasgym-table"))
    envs = ArchitectureVectorEnv(2, space="multi-branch", task=TASKS[1].task, estimator=estimator)
    envs.reset()
    for action in (1, 11, 1, 10, 13, 8):  # conv3, p1 down, conv3 on the image, p1 up, p2 down, addition
        _, rewards, *_ = envs.step(np.array([action, action]))
    assert rewards.tolist() == [0.625, 0.625]


@pytest.mark.parametrize("profile", [replace(DEFAULT, max_parameters=400_000), PAPER], ids=lambda profile: profile.name)
def test_no_network_over_the_cap_escapes_the_estimate(profile: NetworkProfile) -> None:
    """What `exceeding` lets pass is within the cap: the estimate errs on one side only."""
    space = load_space("multi-branch")
    envs = ArchitectureVectorEnv(64, space=space, task=TASKS[1].task, estimator=ClosedFormEstimator(profile))
    _, infos = envs.reset()
    generator = np.random.default_rng(0)
    passed = stopped = 0
    for _ in range(40):
        actions = np.argmax(infos["action_mask"] * (1 + generator.random(infos["action_mask"].shape)), axis=1)
        *_, infos = envs.step(actions)
        exceeding = envs.episodes.walk.exceeding(np.full(64, 10))
        networks = envs.episodes.walk.snapshot()
        for place in np.flatnonzero(infos["valid"]).tolist():
            planned = plan(networks.architecture(place), (32, 32, 3), 10, profile)
            assert exceeding[place] or not planned.exceeds_cap, f"{planned.architecture} was let pass"
            passed += not exceeding[place]
            stopped += bool(exceeding[place])
    assert passed
    assert stopped
