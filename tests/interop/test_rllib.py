"""RLlib learns on our environments, registered by a function: better than random with three seeds."""

from typing import Any

import pytest
from easy_task import easy_env, easy_settings, random_return

pytestmark = pytest.mark.interop

ITERATIONS = 6


def trained_return(settings: dict[str, Any], seed: int) -> float:
    """Train by PPO in this process; return the mean return of the last iteration's episodes."""
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.tune.registry import register_env

    register_env("easy", lambda _: easy_env(settings))
    algorithm = (
        PPOConfig()
        .environment("easy")
        .env_runners(num_env_runners=0)
        .training(lr=3e-3, train_batch_size_per_learner=512, minibatch_size=128, num_epochs=4)
        .rl_module(model_config={"fcnet_hiddens": [32]})
        .debugging(seed=seed)
        .build_algo()
    )
    results = [algorithm.train() for _ in range(ITERATIONS)]
    algorithm.stop()
    return float(results[-1]["env_runners"]["episode_return_mean"])


def test_rllib_beats_the_random_policy(tmp_path: Any) -> None:
    import ray

    settings = easy_settings(tmp_path)
    baseline = random_return(easy_env(settings))
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        returns = [trained_return(settings, seed) for seed in (0, 1, 2)]
    finally:
        ray.shutdown()
    assert min(returns) > baseline, f"returns {returns}, random policy {baseline}"
