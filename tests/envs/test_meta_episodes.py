"""Meta-episodes: what an agent with a memory sees, step by step, and which tasks it is put on."""

import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as check_with_gymnasium
from known import TASK, Known
from stable_baselines3.common.env_checker import check_env as check_with_sb3

from nasgym.core.errors import ConfigurationError
from nasgym.envs import ENVIRONMENTS, ArchitectureEnv, MetaEpisode, MetaEpisodes, Signal
from nasgym.envs.vector import MetaEpisodeVectorEnv
from nasgym.tasks import Task, WeightedTasks, make_task
from nasgym.testing.closed_form import ClosedFormEstimator

CONV3, MAXPOOL2, TERMINAL = 1, 3, 7
N_ACTIONS = 8
ACCURACIES = {"conv3": 0.5, "maxpool2": 0.25, "conv3 maxpool2": 0.75, "empty": 0.125}
OTHERS = tuple(Task(f"task {number}", f"data {number}", (32, 32, 3), 10) for number in range(5))


def meta_episode(episodes: int = 2, **settings: Any) -> MetaEpisode:
    given = {"task": TASK, "estimator": Known(ACCURACIES), "max_layers": 2, **settings}
    return MetaEpisode(ArchitectureEnv(**given), episodes)


def signals(observation: Any, env: MetaEpisode) -> tuple[int, float, float, float, float]:
    """Return action, reward, step, end, episode as the observation has them."""
    tail = observation[env.env.observation_space.shape[0] :]
    assert tail[: N_ACTIONS + 1].sum() == 1
    return (int(tail[: N_ACTIONS + 1].argmax()), *(float(value) for value in tail[N_ACTIONS + 1 :]))


def test_what_an_agent_sees_of_two_episodes() -> None:
    env = meta_episode()
    observation, info = env.reset()
    assert signals(observation, env) == (N_ACTIONS, 0, 0, 0, 0), "no action yet: the token after the last action"
    observation, reward, *ends, info = env.step(CONV3)
    assert (reward, *ends) == (0.5, False, False)
    assert signals(observation, env) == (CONV3, 0.5, 0.5, 0, 0)
    observation, reward, *ends, info = env.step(MAXPOOL2)  # d layers: the first episode ends
    assert (reward, *ends) == (0.75, False, False)
    assert signals(observation, env) == (MAXPOOL2, 0.75, 0, 1, 0.5), "with the first observation of the next episode"
    assert not info["nsc"].any(), "the next episode begins with the empty architecture"
    assert (info["architecture"], info["accuracy"], info["stop"]) == ("conv3 maxpool2", 0.75, "full")
    assert info["action_mask"].all()
    observation, reward, *ends, info = env.step(TERMINAL)
    assert (reward, *ends) == (0.125, True, False)
    assert signals(observation, env) == (TERMINAL, 0.125, 0.5, 1, 1)
    assert info["episodes_ended"] == 2
    observation, info = env.reset()
    assert signals(observation, env) == (N_ACTIONS, 0, 0, 0, 0), "nothing of one meta-episode reaches the next"


def test_the_last_episode_may_end_by_truncation_and_the_meta_episode_still_terminates() -> None:
    env = meta_episode(episodes=1, max_steps=1)
    env.reset()
    *_, terminated, truncated, info = env.step(CONV3)
    assert (terminated, truncated, info["stop"]) == (True, False, "max_steps")


def test_the_return_with_objective_improvement_is_the_best_network_of_the_meta_episode() -> None:
    env = meta_episode(episodes=3, objective="improvement", reward_timing="terminal")
    for _ in range(2):
        env.reset()
        rewards = [env.step(action)[1] for action in (MAXPOOL2, TERMINAL, CONV3, MAXPOOL2, TERMINAL)]
        assert rewards == [0, 0.25, 0, 0.5, 0]
        assert sum(rewards) == max(0.25, 0.75, 0.125)


def test_with_terminal_rewards_a_meta_episode_trains_at_most_k_networks() -> None:
    estimator = Known()
    env = meta_episode(episodes=4, reward_timing="terminal", estimator=estimator, max_layers=10)
    _, info = env.reset(seed=0)
    generator = np.random.default_rng(0)
    ended = False
    while not ended:
        action = generator.choice(np.flatnonzero(info["action_mask"]))
        *_, ended, _, info = env.step(action)
    assert 0 < len(estimator.asked) <= 4


@pytest.mark.parametrize("signal", list(Signal))
def test_each_signal_can_be_left_out(signal: Signal) -> None:
    kept = tuple(one for one in Signal if one is not signal)
    env = ArchitectureEnv(task=TASK, estimator=Known(), max_layers=2)
    whole, part = MetaEpisode(env, 2), MetaEpisode(env, 2, observe=kept)
    width = N_ACTIONS + 1 if signal is Signal.ACTION else 1
    assert part.observation_space.shape[0] == whole.observation_space.shape[0] - width
    assert part.reset()[0] in part.observation_space
    assert MetaEpisode(env, 2, observe=()).observation_space.shape == env.observation_space.shape


def test_signals_keep_their_order_however_they_are_listed() -> None:
    assert MetaEpisodes(2, observe=("episode", "action")).observe == (Signal.ACTION, Signal.EPISODE)


def test_a_description_of_the_task_is_observed_where_the_environment_has_one() -> None:
    digits = make_task("digits", size=8)
    env = ArchitectureEnv(task=digits, estimator=Known(), describe_task=True, max_layers=2)
    meta = MetaEpisodes(2, [digits])
    envs = MetaEpisodeVectorEnv(
        3, meta, task=digits, estimator=Known(), describe_task=True, max_layers=2, observation="compact"
    )
    length = env.search_space.observation_length
    described = MetaEpisode(env, 2).reset()[0]
    observed, _ = envs.reset(seed=0)
    assert observed in envs.observation_space
    assert np.array_equal(observed["signals"][0, 4:], described[length : length + 7]), (
        "seven numbers after rows, or after signals"
    )


def test_the_seed_decides_which_tasks_are_drawn_and_an_option_takes_precedence() -> None:
    def drawn(env: MetaEpisode, seed: int, n: int = 6) -> list[str]:
        names = []
        for number in range(n):
            env.reset(seed=seed if number == 0 else None)
            names.append(env.unwrapped.task.name)
        return names

    env = MetaEpisode(ArchitectureEnv(task=TASK, estimator=Known()), 2, OTHERS)
    first = drawn(env, 0)
    assert drawn(env, 0) == first
    assert drawn(env, 1) != first
    assert len(set(first)) > 1
    env.reset(options={"task": TASK})
    assert env.unwrapped.task.name == TASK.name
    env.reset()
    assert env.unwrapped.task in OTHERS


def test_environment_i_of_a_vector_draws_as_a_single_one_with_seed_plus_i() -> None:
    envs = MetaEpisodeVectorEnv(3, MetaEpisodes(2, OTHERS), task=TASK, estimator=Known())
    envs.reset(seed=7)
    for place, task in enumerate(envs.tasks):
        single = MetaEpisode(ArchitectureEnv(task=TASK, estimator=Known()), 2, OTHERS)
        single.reset(seed=7 + place)
        assert single.unwrapped.task == task
    envs.reset(seed=[9, 9, 9], options={"task": [TASK, *OTHERS[:2]]})
    assert envs.tasks == (TASK, *OTHERS[:2])
    envs.reset(seed=[9, 9, 9])
    assert len(set(envs.tasks)) == 1


def test_tasks_come_from_a_function_or_a_weighted_distribution_too() -> None:
    env = ArchitectureEnv(task=TASK, estimator=Known())
    made = MetaEpisode(env, 2, lambda generator: Task(f"side {generator.integers(8, 64)}", "made", (8, 8, 3), 2))
    made.reset(seed=0)
    assert made.unwrapped.task.name.startswith("side ")
    always = MetaEpisode(env, 2, WeightedTasks(OTHERS, weights=(0, 0, 1, 0, 0)))
    always.reset(seed=0)
    assert always.unwrapped.task == OTHERS[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"episodes": 0}, "episodes is a whole number of at least 1, got 0."),
        ({"episodes": 2, "observe": ["rewards"]}, r"Unknown signal 'rewards' \(known: .*\). Did you mean 'reward'\?"),
        ({"episodes": 2, "observe": "reward"}, r"observe is a list of signals such as \('reward',\), got a text."),
        ({"episodes": 2, "tasks": []}, "A task distribution needs at least one task."),
        ({"episodes": 2, "tasks": ["digits"]}, "'digits' is not a task; make it one with nasgym.tasks.make_task."),
        ({"episodes": 2, "tasks": 3}, r"tasks is a sequence of tasks, a function .* got 3."),
    ],
)
def test_what_makes_no_meta_episode_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        MetaEpisode(ArchitectureEnv(task=TASK, estimator=Known()), **arguments)


def test_other_environments_and_weights_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"Meta-episodes are made of an ArchitectureEnv, got .*CartPole"):
        MetaEpisode(gymnasium.make("CartPole-v1"), 2)
    with pytest.raises(ConfigurationError, match=r"2 weights for 5 tasks; give one each."):
        WeightedTasks(OTHERS, (1.0, 2.0))
    with pytest.raises(ConfigurationError, match=r"Weights are numbers from 0 on, not all 0"):
        WeightedTasks(OTHERS[:1], (0.0,))


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_gymnasiums_and_sb3s_checkers_find_nothing(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*[Tt]he environment is being initialised with render_mode.*")
        inner = gymnasium.make(name, task=TASK, estimator=ClosedFormEstimator(), disable_env_checker=True).unwrapped
        env = MetaEpisode(inner, 3, OTHERS)
        check_with_sb3(env, skip_render_check=True)
        warnings.filterwarnings("ignore", message=".*is different from the unwrapped version.*")
        check_with_gymnasium(env, skip_render_check=True)
