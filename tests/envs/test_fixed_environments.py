"""Environments of public benchmarks: the same steps on a table and on networks that are planned for real."""

from pathlib import Path

import gymnasium
import numpy as np
import pytest
from known import TASK, Known

from nasgym.architectures import Skeleton, parse_architecture
from nasgym.architectures.spaces import FixedSpace
from nasgym.envs import ENVIRONMENTS
from nasgym.evaluation import Completed
from nasgym.evaluation.tables import TableBuilder, TableDescription, TableTask, TabularBenchmark
from nasgym.networks.plan import plan
from nasgym.networks.profiles import DEFAULT
from nasgym.tasks import Budget, Fidelity

CELL = parse_architecture("skeleton=cell201 conv3 none identity avgsame3 conv1 conv3")
ACTIONS = (3, 0, 1, 4, 2, 3)


def test_the_benchmarks_have_ids() -> None:
    assert {"nasgym/Cell201-v1", "nasgym/Macro-v1"} <= set(ENVIRONMENTS)


def test_only_the_last_choice_of_a_cell_is_evaluated() -> None:
    estimator = Known({str(CELL): 0.75})
    env = gymnasium.make("nasgym/Cell201-v1", task=TASK, estimator=estimator)
    observation, info = env.reset(seed=0)
    for step, action in enumerate(ACTIONS, start=1):
        assert info["action_mask"].tolist() == [1] * 5
        observation, reward, terminated, truncated, info = env.step(action)
        assert (reward, terminated, truncated) == ((0.75, True, False) if step == 6 else (0, False, False))
    assert estimator.asked == [str(CELL)]
    assert info["architecture"] == str(CELL)
    assert info["nsc"][0].tolist() == [0, 18, 1, 0, 0]
    assert np.flatnonzero(observation).tolist() == [6 * slot + 1 + action for slot, action in enumerate(ACTIONS)]
    assert not info["action_mask"].any()


def test_a_choice_that_would_break_the_budget_is_masked_at_the_last_slot() -> None:
    limit = plan(CELL, TASK.input_shape, TASK.n_classes, DEFAULT).parameters - 1
    env = gymnasium.make("nasgym/Cell201-v1", task=TASK, estimator=Known(), budget=Budget(parameters=limit))
    _, info = env.reset(seed=0)
    for action in ACTIONS[:-1]:
        _, _, _, _, info = env.step(action)
    assert info["action_mask"].tolist() == [1, 1, 1, 0, 1]
    _, reward, terminated, _, _ = env.step(3)
    assert (reward, terminated) == (0, True)


@pytest.mark.parametrize("skeleton", [Skeleton.MACRO, Skeleton.MULTI_RESOLUTION])
def test_a_table_rewards_what_it_holds_and_nothing_else(skeleton: Skeleton, tmp_path: Path) -> None:
    space = FixedSpace(skeleton)
    held = space.filled(tuple(slot.choices[-1] for slot in space.slots))
    described = TableTask("one", "data", (32, 32, 3), 10, Fidelity(3))
    builder = TableBuilder(TableDescription("one", (described,), "default", "x", skeleton=skeleton))
    builder.add(held, "data", 0, Completed(0.625))
    table = TabularBenchmark(builder.write(tmp_path / "one.table"))
    env = gymnasium.make("nasgym/Macro-v1", space=skeleton.token, task=described.task, estimator=table)
    for choice, wanted in ((-1, 0.625), (0, 0.0)):
        _, info = env.reset(seed=0)
        reward = None
        for _ in space.slots:
            _, reward, terminated, _, info = env.step(int(np.flatnonzero(info["action_mask"])[choice]))
        assert terminated
        assert reward == wanted
    assert info["failure"] == "missing"
