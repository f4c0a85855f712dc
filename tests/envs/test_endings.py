"""SPEC §3 by hand: what ends an episode, budgets, and headers."""

from typing import Any

import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from known import TASK, Known
from played import ADD, CONV1, CONV3, MAX2, P1_DOWN, P1_UP, P2_DOWN, P2_UP, TERMINAL, last, layers, make, rewards

from nasgym.core.errors import ArchitectureError, ConfigurationError
from nasgym.envs import ArchitectureEnv
from nasgym.evaluation import Failed, FailureKind
from nasgym.networks.profiles import PAPER
from nasgym.tasks import Budget, Task

# --- endings


@pytest.mark.parametrize("action", [P1_UP, P1_DOWN, P2_UP, P2_DOWN])
def test_a_any_pointer_move_on_the_empty_network_ends_the_episode(action: int) -> None:
    known = Known()
    env = make("multi-branch", estimator=known)
    reward, terminated, truncated, info = last(env, action)
    assert (reward, terminated, truncated) == (0.0, True, False)
    assert (info["stop"], info["valid"], known.asked) == ("illegal", False, [])
    assert "architecture" not in info


@pytest.mark.parametrize(("before", "action"), [((CONV3,), P1_UP), ((CONV3, P2_DOWN), P2_DOWN)])
def test_a_pointer_that_leaves_its_range_ends_the_episode(before: tuple[int, ...], action: int) -> None:
    reward, terminated, truncated, info = last(make("multi-branch"), *before, action)
    assert (reward, terminated, truncated, info["stop"]) == (0.0, True, False, "illegal")
    assert layers(info) == [[1, 1, 3, 0, 0]], "the network is the one before it"


def test_a_merge_of_the_image_ends_the_episode() -> None:
    reward, terminated, _, info = last(make("multi-branch"), CONV3, P1_DOWN, ADD)
    assert (reward, terminated, info["stop"]) == (0.0, True, "illegal")


def test_an_explicit_predecessor_that_is_not_built_ends_the_episode() -> None:
    conv3_on_4 = 10 + 4
    reward, terminated, _, info = last(make("explicit"), conv3_on_4)
    assert (reward, terminated, info["stop"]) == (0.0, True, "illegal")


def test_b_terminating_an_empty_chain_evaluates_the_head_alone() -> None:
    env = make(estimator=Known({"empty": 0.2}))
    reward, terminated, truncated, info = last(env, TERMINAL)
    assert (reward, terminated, truncated) == (0.2, True, False)
    assert (info["architecture"], info["stop"]) == ("empty", "terminal")
    assert layers(info) == [[1, 7, 0, 0, 0]]


def test_c_the_last_layer_ends_the_episode() -> None:
    env = make(max_layers=2, max_steps=5, estimator=Known({"conv3 conv1": 0.7}))
    reward, terminated, truncated, info = last(env, CONV3, CONV1)
    assert (reward, terminated, truncated, info["stop"]) == (0.7, True, False, "full")


def test_d_the_last_step_truncates_the_episode() -> None:
    env = make(max_steps=2, estimator=Known({"conv3 conv1": 0.7}))
    reward, terminated, truncated, info = last(env, CONV3, CONV1)
    assert (reward, terminated, truncated, info["stop"]) == (0.7, False, True, "max_steps")


def test_e_a_network_that_cannot_exist_ends_the_episode() -> None:
    known = Known(profile=PAPER)
    small = Task("small", "small", (4, 4, 1), 2)
    env = make(estimator=known, task=small)
    env.step(CONV3)  # 2 × 2 pixels are left
    reward, terminated, truncated, info = last(env, CONV3)
    assert (reward, terminated, truncated) == (0.0, True, False)
    assert (info["stop"], info["valid"]) == ("invalid", False)
    assert "architecture" not in info
    assert known.asked == ["conv3"]


@pytest.mark.parametrize(
    ("kind", "settings", "actions", "stop"),
    [
        ("chain", {"max_steps": 2}, (CONV3, TERMINAL), "terminal"),
        ("chain", {"max_steps": 2, "max_layers": 2}, (CONV3, CONV3), "full"),
        ("multi-branch", {"max_steps": 2}, (CONV3, P1_UP), "illegal"),
    ],
)
def test_an_ending_on_the_last_step_terminates_and_does_not_truncate(
    kind: str, settings: dict[str, int], actions: tuple[int, ...], stop: str
) -> None:
    _, terminated, truncated, info = last(make(kind, **settings), *actions)
    assert (terminated, truncated, info["stop"]) == (True, False, stop)


@pytest.mark.parametrize(
    ("kind", "steps"), [("chain", 10), ("multi-branch", 20), ("explicit", 10), ("edge", 12), ("joint", 14)]
)
def test_the_default_step_limit_is_that_of_the_space(kind: str, steps: int) -> None:
    assert make(kind).max_steps == steps


def test_after_the_end_every_action_is_masked_and_a_step_asks_for_a_reset() -> None:
    env = make()
    _, _, _, info = last(env, TERMINAL)
    assert not info["action_mask"].any()
    with pytest.raises(ResetNeeded, match="call reset"):
        env.step(CONV3)


def test_nothing_can_be_done_before_a_reset() -> None:
    env = ArchitectureEnv(task=TASK, estimator=Known(), render_mode="ansi")
    for call in (lambda: env.step(0), env.action_masks, env.render):
        with pytest.raises(ResetNeeded, match="call reset"):
            call()


@pytest.mark.parametrize("action", [-1, 8, np.int64(100)])
def test_an_integer_outside_the_action_space_raises(action: int) -> None:
    with pytest.raises(ArchitectureError, match=rf"Action {action} is outside the action space.*actions 0 to 7"):
        make().step(action)


@pytest.mark.parametrize("action", [1.0, "conv3", None])
def test_what_is_no_integer_raises(action: Any) -> None:
    with pytest.raises(ArchitectureError, match="An action is a whole number"):
        make().step(action)


def test_a_failed_network_earns_nothing_and_the_episode_goes_on() -> None:
    env = make(estimator=Known(outcomes={"conv3": Failed(FailureKind.DIVERGED, "loss is NaN")}))
    reward, terminated, _, info = last(env, CONV3)
    assert (reward, terminated, info["accuracy"], info["failure"]) == (0.0, False, 0.0, "diverged")
    assert last(env, CONV1)[0] == 0.5


# --- budgets: paper's head at 8 px. conv1: 8·8·32·1024 ≈ 2.1 M parameters; conv1 maxpool2: 4·4·32·1024 ≈ 0.5 M


def budgeted(**settings: Any) -> ArchitectureEnv:
    task = Task("eight", "eight", (8, 8, 3), 10)
    return make(
        estimator=settings.pop("known", Known(profile=PAPER)), task=task, budget=Budget(parameters=10**6), **settings
    )


def test_a_prefix_over_the_budget_earns_nothing_and_pooling_brings_it_back() -> None:
    known = Known({"conv1 maxpool2": 0.4}, profile=PAPER)
    env = budgeted(known=known)
    reward, terminated, _, info = last(env, CONV1)
    assert (reward, terminated, info["failure"], info["valid"]) == (0.0, False, "over_budget", True)
    assert info["action_mask"].tolist() == [1, 1, 1, 1, 1, 1, 1, 0], "only the terminal action would end over it"
    assert rewards(env, MAX2, TERMINAL) == [0.4, 0.4]
    assert known.asked == ["conv1 maxpool2"]


def test_a_finished_network_over_the_budget_is_not_trained() -> None:
    for timing in ("every_step", "terminal"):
        known = Known(profile=PAPER)
        reward, terminated, _, info = last(budgeted(known=known, reward_timing=timing), CONV1, TERMINAL)
        assert (reward, terminated, info["failure"], info["from_store"]) == (0.0, True, "over_budget", False)
        assert known.asked == []


def test_the_last_step_masks_every_action_that_would_finish_over_the_budget() -> None:
    env = budgeted(max_steps=2)
    _, _, _, info = last(env, CONV1)
    # conv1 → 8 px, conv3 → 6 px, conv5 → 4 px, pools → 4 and 2 px; 6·6·32·1024 is 1.2 M, 4·4·32·1024 is 0.5 M
    assert info["action_mask"].tolist() == [0, 0, 1, 1, 1, 1, 1, 0]


def test_the_last_layer_is_masked_where_it_would_finish_over_the_budget() -> None:
    env = budgeted(max_layers=2, max_steps=5)
    _, _, _, info = last(env, CONV1)
    assert info["action_mask"].tolist() == [0, 0, 1, 1, 1, 1, 1, 0]


def test_the_tasks_own_budget_holds_unless_another_is_given() -> None:
    task = Task("eight", "eight", (8, 8, 3), 10, Budget(parameters=10))
    assert last(make(task=task), CONV1)[3]["failure"] == "over_budget"
    assert "failure" not in last(make(task=task, budget=Budget(parameters=10**6)), CONV1)[3]


def test_masks_know_what_the_image_is_too_small_for() -> None:
    env = make(estimator=Known(profile=PAPER), task=Task("small", "small", (4, 4, 1), 2))
    assert env.action_masks().tolist() == [True, True, False, True, True, True, True, True]
    _, _, _, info = last(env, MAX2)  # 2 × 2 pixels are left
    assert info["action_mask"].tolist() == [1, 0, 0, 1, 0, 1, 0, 1]


def test_a_residual_convolution_is_masked_where_it_would_change_the_shape() -> None:
    env = make("edge", task=Task("small", "small", (8, 8, 3), 2))
    labels = [env.search_space.describe(action) for action in range(int(env.action_space.n))]
    env.step(labels.index("stem=1"))
    _, _, _, info = last(env, labels.index("width=8"))
    residual = [mask for label, mask in zip(labels, info["action_mask"], strict=True) if label.endswith("+")]
    assert residual == [1] * len(residual), "same width, same size: all shapes allow it"
    _, _, _, info = last(env, labels.index("maxpool2"))
    residual = [mask for label, mask in zip(labels, info["action_mask"], strict=True) if label.endswith("+")]
    assert residual == [0] * len(residual), "the default profile doubles the width after a pooling"


# --- headers


def test_header_choices_earn_nothing_and_evaluate_nothing() -> None:
    known = Known({"stem=2 width=16 empty": 0.2})
    env = make("edge", estimator=known)
    labels = [env.search_space.describe(action) for action in range(int(env.action_space.n))]
    assert rewards(env, labels.index("stem=2"), labels.index("width=16")) == [0.0, 0.0]
    assert known.asked == []
    reward, _, _, info = last(env, labels.index("terminal"))
    assert (reward, info["architecture"]) == (0.2, "stem=2 width=16 empty")
    assert layers(info)[:2] == [[0, 10, 2, 0, 0], [0, 11, 16, 0, 0]]


def test_a_step_limit_that_leaves_no_room_for_a_layer_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="makes 4 header choices before the first layer; use at least 5"):
        make("joint", max_steps=4)
