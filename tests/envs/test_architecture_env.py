"""SPEC §3 by hand: pointers, rewards, endings, timings, budgets, objectives, tasks.

Action ids. Chain: 0-2 conv 1/3/5, 3-4 maxpool 2/3, 5-6 avgpool 2/3, 7 terminal. Multi-branch: the same, then 8 add,
9 concat, 10 p1 up, 11 p1 down, 12 p2 up, 13 p2 down.
"""

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from known import TASK, Known

from nasgym.architectures import architecture_id, parse_architecture
from nasgym.core.errors import ArchitectureError, ConfigurationError
from nasgym.envs import ArchitectureEnv, EnvConfig
from nasgym.evaluation import Failed, FailureKind
from nasgym.evaluation.evaluator import MemoryCache
from nasgym.networks.plan import plan
from nasgym.networks.profiles import DEFAULT, PAPER
from nasgym.tasks import Budget, Task
from nasgym.testing.closed_form import ClosedFormEstimator

OTHER = Task("other pictures", "other-fingerprint", (32, 32, 3), 10)

CONV1, CONV3, CONV5, MAX2, MAX3, AVG2, AVG3, TERMINAL = range(8)
ADD, CONCAT, P1_UP, P1_DOWN, P2_UP, P2_DOWN = range(8, 14)


def make(kind: str = "chain", **settings: Any) -> ArchitectureEnv:
    """An environment that has been reset, on 32-pixel pictures unless told otherwise."""
    env = ArchitectureEnv(**{"kind": kind, "task": TASK, "estimator": Known(), **settings})
    env.reset()
    return env


def rewards(env: ArchitectureEnv, *actions: int) -> list[float]:
    return [env.step(action)[1] for action in actions]


def last(env: ArchitectureEnv, *actions: int) -> tuple[float, bool, bool, dict[str, Any]]:
    """Reward, terminated, truncated and info of the last of some actions."""
    for action in actions:
        _, reward, terminated, truncated, info = env.step(action)
    return reward, terminated, truncated, info


def layers(info: dict[str, Any]) -> list[list[int]]:
    """The rows of the NSC that are not empty."""
    return [row for row in info["nsc"].tolist() if any(row)]


# --- every step is rewarded with the accuracy of the network so far


def test_every_prefix_is_rewarded_with_its_accuracy_and_the_terminal_action_with_that_of_the_whole() -> None:
    known = Known({"conv3": 0.3, "conv3 maxpool2": 0.4})
    env = make(estimator=known)
    assert rewards(env, CONV3, MAX2, TERMINAL) == [0.3, 0.4, 0.4]
    assert known.asked == ["conv3", "conv3 maxpool2"], "the terminal action changes nothing that is trained"


def test_info_tells_which_network_was_evaluated() -> None:
    env = make(estimator=Known({"conv3 maxpool2": 0.4}))
    _, _, _, info = last(env, CONV3, MAX2)
    assert info["architecture"] == "conv3 maxpool2"
    assert info["architecture_id"] == architecture_id(parse_architecture("conv3 maxpool2"), DEFAULT.leaves)
    assert (info["accuracy"], info["from_store"]) == (0.4, False)
    _, _, _, info = last(env, TERMINAL)
    assert (info["architecture"], info["from_store"]) == ("conv3 maxpool2", True)


def test_a_reset_evaluates_nothing() -> None:
    env = make()
    observation, info = env.reset()
    assert sorted(info) == ["action_mask", "nsc", "pointers", "step", "valid"]
    assert (info["step"], info["valid"], info["pointers"].tolist()) == (0, True, [0, 0])
    assert layers(info) == []
    assert observation.reshape(10, 25)[:, 0].tolist() == [1.0] * 10, "ten empty rows"


def test_observations_have_the_sizes_of_the_paper() -> None:
    assert make("chain").observation_space.shape == (250,)
    assert make("multi-branch").observation_space.shape == (360,)
    assert make("explicit").observation_space.shape == (360,)
    assert [int(make(kind).action_space.n) for kind in ("chain", "multi-branch", "explicit")] == [8, 14, 161]


def test_an_observation_is_one_hot_rows_with_the_newest_last() -> None:
    env = make()
    observation, *_ = env.step(CONV3)
    row = observation.reshape(10, 25)[-1]
    # type 0..7 at 0, kernel 0..5 at 8, pred1 0..10 at 14: convolution (1), kernel 3, predecessor 0
    assert np.flatnonzero(row).tolist() == [1, 8 + 3, 14]


# --- pointers


def test_pointers_move_persist_and_choose_predecessors() -> None:
    known = Known()
    env = make("multi-branch", estimator=known)
    _, _, _, info = last(env, CONV3)
    assert info["pointers"].tolist() == [0, 0]
    _, _, _, info = last(env, P1_DOWN)
    assert info["pointers"].tolist() == [-1, 0], "p1 points at the image"
    _, _, _, info = last(env, CONV5)
    assert layers(info) == [[1, 1, 3, 0, 0], [2, 1, 5, 0, 0]]
    assert info["pointers"].tolist() == [-1, 0], "p1 now points at layer 1, p2 at layer 2"
    _, _, _, info = last(env, ADD)
    assert layers(info)[-1] == [3, 5, 0, 1, 2]
    _, _, _, info = last(env, P2_DOWN, P2_DOWN, CONCAT)
    assert layers(info)[-1] == [4, 6, 0, 2, 1]
    _, _, _, info = last(env, P1_UP, MAX2)
    assert layers(info)[-1] == [5, 2, 2, 4, 0]
    assert info["architecture"] == "conv3(0) conv5(0) add(1,2) concat(2,1) maxpool2(4)"


def test_a_merge_of_a_layer_with_itself_is_legal() -> None:
    env = make("multi-branch")
    _, terminated, _, info = last(env, CONV3, ADD)
    assert not terminated
    assert info["architecture"] == "conv3(0) add(1,1)"


def test_a_shift_earns_sigma_times_the_accuracy_of_the_network_it_leaves_as_it_is() -> None:
    known = Known({"conv3": 0.6})
    env = make("multi-branch", estimator=known)
    assert rewards(env, CONV3, P1_DOWN, P1_UP) == [0.6, 0.3, 0.3]
    assert known.asked == ["conv3"]
    assert rewards(make("multi-branch", estimator=Known({"conv3": 0.6}), shift_reward=0), CONV3, P2_DOWN) == [0.6, 0.0]
    tenth = rewards(make("multi-branch", estimator=Known({"conv3": 0.6}), shift_reward=0.1), CONV3, P2_DOWN)
    assert tenth == pytest.approx([0.6, 0.06])


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


# --- terminal timing


def test_terminal_timing_trains_once_when_the_terminal_action_is_taken() -> None:
    known = Known({"conv3 maxpool2": 0.4})
    env = make(estimator=known, reward_timing="terminal")
    assert rewards(env, CONV3, MAX2, TERMINAL) == [0.0, 0.0, 0.4]
    assert known.asked == ["conv3 maxpool2"]


def test_terminal_timing_trains_a_full_and_a_truncated_network() -> None:
    for settings in ({"max_layers": 2}, {"max_steps": 2}):
        known = Known({"conv3 conv1": 0.7})
        assert rewards(make(estimator=known, reward_timing="terminal", **settings), CONV3, CONV1) == [0.0, 0.7]
        assert known.asked == ["conv3 conv1"]


def test_terminal_timing_truncated_by_a_shift_earns_sigma_times_the_accuracy() -> None:
    env = make("multi-branch", estimator=Known({"conv3": 0.6}), reward_timing="terminal", max_steps=2)
    reward, terminated, truncated, info = last(env, CONV3, P1_DOWN)
    assert (reward, terminated, truncated, info["accuracy"]) == (0.3, False, True, 0.6)


def test_terminal_timing_trains_nothing_after_an_illegal_action_or_for_an_invalid_network() -> None:
    known = Known(profile=PAPER)
    env = make("multi-branch", estimator=known, reward_timing="terminal", task=Task("small", "small", (4, 4, 1), 2))
    assert rewards(env, CONV3, P1_UP) == [0.0, 0.0]
    env.reset()
    assert rewards(env, CONV3, CONV3) == [0.0, 0.0]
    assert known.asked == []


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


# --- objectives


def test_improvement_rewards_what_exceeds_the_best_of_the_meta_episode_so_far() -> None:
    known = Known({"conv3": 0.3, "conv3 maxpool2": 0.5, "conv1": 0.4, "conv1 conv1": 0.7})
    env = make(estimator=known, objective="improvement")
    first = rewards(env, CONV3, MAX2, TERMINAL)
    assert first == pytest.approx([0.3, 0.2, 0.0])
    env.reset()
    second = rewards(env, CONV1, CONV1, TERMINAL)
    assert second == pytest.approx([0.0, 0.2, 0.0])
    assert sum(first + second) == pytest.approx(env.incumbent) == 0.7, "the return is the incumbent"


@pytest.mark.parametrize("forget", [{"options": {"new_meta_episode": True}}, {"seed": 3}, {"options": {"task": OTHER}}])
def test_a_new_meta_episode_forgets_the_incumbent(forget: dict[str, Any]) -> None:
    env = make(objective="improvement", estimator=Known({"conv3": 0.3}))
    assert rewards(env, CONV3) == [0.3]
    env.reset(**forget)
    assert rewards(env, CONV3) == [0.3]


def test_an_episode_on_the_same_task_is_in_the_same_meta_episode() -> None:
    env = make(objective="improvement", estimator=Known({"conv3": 0.3}))
    rewards(env, CONV3)
    env.reset(options={"task": replace(TASK)})
    assert rewards(env, CONV3) == [0.0]


def test_the_blockqnn_reward_counts_flops_and_density() -> None:
    env = make(estimator=ClosedFormEstimator(), reward="blockqnn")
    reward, _, _, info = last(env, CONV3)
    planned = plan(parse_architecture("conv3"), TASK.input_shape, TASK.n_classes, DEFAULT)
    assert planned.density == 1 / 2
    expected = info["accuracy"] - (0.5 * np.log(planned.flops) + 0.5 * np.log(1 / 2)) / 100
    assert reward == pytest.approx(expected)


def test_a_function_of_the_outcome_can_be_the_reward() -> None:
    assert rewards(make(reward=lambda outcome: 0.125), CONV3) == [0.125]


# --- tasks


def test_reset_switches_the_task_and_the_observation_space_stays() -> None:
    known = Known(profile=PAPER)
    env = make(estimator=known)
    space = env.observation_space
    small = Task("small", "small", (4, 4, 1), 2)
    observation, info = env.reset(options={"task": small})
    assert env.task is small
    assert info["action_mask"][CONV5] == 0, "the masks are those of the new task"
    assert env.observation_space is space
    assert observation in space
    env.reset()
    assert env.task is small, "a task stays until another one is given"


def test_the_same_network_on_another_task_is_another_evaluation() -> None:
    known = Known()
    env = make(estimator=known)
    env.step(CONV3)
    env.reset(options={"task": OTHER})
    _, _, _, info = last(env, CONV3)
    assert not info["from_store"]
    env.reset(options={"task": TASK})
    _, _, _, info = last(env, CONV3)
    assert info["from_store"], "what was learned of a task is not forgotten with it"
    assert known.asked == ["conv3", "conv3"]


def test_an_unknown_reset_option_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"Unknown reset option 'tsk'.*Did you mean 'task'"):
        make().reset(options={"tsk": TASK})


# --- caches and copies


def test_two_environments_with_one_cache_train_nothing_twice() -> None:
    known, cache = Known(), MemoryCache()
    last(make(estimator=known, store=cache), CONV3)
    _, _, _, info = last(make(estimator=known, store=cache), CONV3)
    assert info["from_store"]
    assert known.asked == ["conv3"]


def test_a_pickled_environment_begins_anew_and_remembers_what_it_trained() -> None:
    env = make("multi-branch", estimator=ClosedFormEstimator(), objective="improvement")
    first = last(env, CONV3)
    copy = pickle.loads(pickle.dumps(env))
    with pytest.raises(ResetNeeded):
        copy.step(CONV3)
    copy.reset(options={"new_meta_episode": True})
    again = last(copy, CONV3)
    assert again[0] == first[0]
    assert again[3]["from_store"]


def test_positions_are_forgotten_beyond_their_limit_without_a_trace() -> None:
    env = make(estimator=Known({"conv3": 0.3}))
    env._positions._limit = 3
    for _ in range(5):
        env.reset()
        assert rewards(env, CONV3, CONV3) == [0.3, 0.5]


# --- configurations


def test_an_unknown_setting_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"Unknown setting 'max_step' of an .*Did you mean 'max_steps'"):
        ArchitectureEnv(max_step=3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"reward_timing": "every-step"}, "reward_timing is every_step or terminal, got 'every-step'. Did you mean"),
        ({"objective": "acuracy"}, "objective is accuracy or improvement, got 'acuracy'. Did you mean 'accuracy'"),
        ({"shift_reward": 2}, "shift_reward is a factor from 0 to 1, got 2"),
        ({"max_steps": 0}, "max_steps is a whole number of at least 1, got 0"),
        ({"max_layers": 2.5}, "max_layers is a whole number of at least 1, got 2.5"),
        ({"profile": "paper"}, "profile='paper' beside an estimator that has its own .'default'."),
        ({"kind": "chian"}, "Did you mean 'chain'"),
        ({"reward": "acuracy"}, "Unknown reward 'acuracy'.*Did you mean 'accuracy'"),
        ({"render_mode": "human"}, "Unknown render_mode 'human' .known: ansi, rgb_array"),
    ],
)
def test_wrong_settings_are_refused_with_the_remedy(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ArchitectureEnv(**{"task": TASK, "estimator": Known(), **settings})


def test_a_configuration_is_a_value_and_excludes_settings_beside_it() -> None:
    config = EnvConfig(kind="chain", task=TASK, estimator=ClosedFormEstimator())
    assert ArchitectureEnv(config).config == config
    with pytest.raises(ConfigurationError, match="Give a configuration or settings, not both; got max_steps as well"):
        ArchitectureEnv(config, max_steps=3)
