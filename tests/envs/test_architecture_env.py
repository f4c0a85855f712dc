"""SPEC §3 by hand: pointers, rewards, timings, objectives, tasks."""

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from known import TASK, Known
from played import (
    ADD,
    CONCAT,
    CONV1,
    CONV3,
    CONV5,
    MAX2,
    P1_DOWN,
    P1_UP,
    P2_DOWN,
    TERMINAL,
    last,
    layers,
    make,
    rewards,
)

from nasgym.architectures import architecture_id, parse_architecture
from nasgym.core.errors import ConfigurationError
from nasgym.envs import ArchitectureEnv, EnvConfig
from nasgym.evaluation.evaluator import MemoryCache
from nasgym.networks.plan import plan
from nasgym.networks.profiles import DEFAULT, PAPER
from nasgym.tasks import Task
from nasgym.testing.closed_form import ClosedFormEstimator

OTHER = Task("other pictures", "other-fingerprint", (32, 32, 3), 10)


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
