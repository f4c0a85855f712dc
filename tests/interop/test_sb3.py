"""Stable-Baselines3 and sb3-contrib learn on our environments as they are: better than random with three seeds."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from easy_task import easy_env, easy_settings, random_return
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO

from nasgym.envs import MetaEpisode

SEEDS = (0, 1, 2)
SMALL = {"net_arch": [32]}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return easy_settings(tmp_path_factory.mktemp("easy"))


def learned_return(agent: Any, env: gymnasium.Env[Any, Any], episodes: int = 60, *, masked: bool = False) -> float:
    """Return the mean return of the agent's sampled actions, its memory carried through each episode."""
    total = 0.0
    for _ in range(episodes):
        observation, _ = env.reset()
        memory, ended = None, True
        while True:
            given: dict[str, Any] = {"action_masks": env.get_wrapper_attr("action_masks")()} if masked else {}
            if isinstance(agent, RecurrentPPO):
                given = {"state": memory, "episode_start": np.array([ended])}
            action, memory = agent.predict(observation, deterministic=False, **given)
            observation, reward, terminated, truncated, _ = env.step(action)
            total += float(reward)
            ended = False
            if terminated or truncated:
                break
    return total / episodes


def beats_random(make_agent: Any, make_env: Any, steps: int, *, masked: bool = False) -> None:
    baseline = random_return(make_env())
    returns = []
    for seed in SEEDS:
        agent = make_agent(make_env(), seed).learn(steps)
        returns.append(learned_return(agent, make_env(), masked=masked))
    assert min(returns) > baseline, f"returns {returns} with seeds {SEEDS}, random policy {baseline}"


def test_maskable_ppo_beats_the_random_policy(settings: dict[str, Any]) -> None:
    def make_agent(env: Any, seed: int) -> Any:
        return MaskablePPO("MlpPolicy", env, 3e-3, n_steps=128, batch_size=64, seed=seed, policy_kwargs=SMALL)

    beats_random(make_agent, lambda: easy_env(settings), 1024, masked=True)


def test_dqn_beats_the_random_policy(settings: dict[str, Any]) -> None:
    def make_agent(env: Any, seed: int) -> Any:
        return DQN(
            "MlpPolicy",
            env,
            2e-3,
            learning_starts=200,
            exploration_fraction=0.5,
            target_update_interval=100,
            seed=seed,
            policy_kwargs=SMALL,
        )

    beats_random(make_agent, lambda: easy_env(settings), 1500)


@pytest.mark.interop
def test_ppo_beats_the_random_policy(settings: dict[str, Any]) -> None:
    def make_agent(env: Any, seed: int) -> Any:
        return PPO("MlpPolicy", env, 3e-3, n_steps=128, batch_size=64, seed=seed, policy_kwargs=SMALL)

    beats_random(make_agent, lambda: easy_env(settings), 2048)


@pytest.mark.interop
def test_a2c_beats_the_random_policy(settings: dict[str, Any]) -> None:
    def make_agent(env: Any, seed: int) -> Any:
        return A2C("MlpPolicy", env, 2e-3, n_steps=8, seed=seed, policy_kwargs=SMALL)

    beats_random(make_agent, lambda: easy_env(settings), 3000)


@pytest.mark.interop
def test_recurrent_ppo_beats_the_random_policy_on_meta_episodes(settings: dict[str, Any]) -> None:
    def make_env() -> MetaEpisode:
        return MetaEpisode(easy_env(settings), episodes=4)

    def make_agent(env: Any, seed: int) -> Any:
        policy = {"lstm_hidden_size": 32, "net_arch": [], "shared_lstm": True, "enable_critic_lstm": False}
        return RecurrentPPO("MlpLstmPolicy", env, 3e-3, n_steps=128, batch_size=128, seed=seed, policy_kwargs=policy)

    beats_random(make_agent, make_env, 3072)
