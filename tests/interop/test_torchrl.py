"""TorchRL learns on our environments through its own Gymnasium wrapper: better than random with three seeds."""

from typing import Any

import pytest
import torch
from easy_task import easy_env, easy_settings, random_return

pytestmark = pytest.mark.interop

FRAMES, UPDATES, EPOCHS, MINIBATCH = 256, 10, 4, 64


def trained_return(settings: dict[str, Any], seed: int) -> float:
    """Train by clipped PPO; return the mean return of the sampled actions of the last updates."""
    from tensordict.nn import TensorDictModule
    from torchrl.envs import ExplorationType, GymWrapper, RewardSum, TransformedEnv, set_exploration_type
    from torchrl.modules import MLP, OneHotCategorical, ProbabilisticActor, ValueOperator
    from torchrl.objectives import ClipPPOLoss
    from torchrl.objectives.value import GAE

    torch.manual_seed(seed)
    env = TransformedEnv(GymWrapper(easy_env(settings)), RewardSum())
    env.set_seed(seed)
    length, n_actions = env.observation_spec["observation"].shape[-1], env.action_spec.shape[-1]
    logits = TensorDictModule(MLP(length, n_actions, num_cells=[32]), ["observation"], ["logits"])
    actor = ProbabilisticActor(logits, in_keys=["logits"], distribution_class=OneHotCategorical, return_log_prob=True)
    critic = ValueOperator(MLP(length, 1, num_cells=[32]), in_keys=["observation"])
    advantage = GAE(gamma=0.99, lmbda=0.95, value_network=critic)
    loss = ClipPPOLoss(actor, critic, normalize_advantage=True)
    optimizer = torch.optim.Adam(loss.parameters(), lr=3e-3)
    returns: list[float] = []
    for _ in range(UPDATES):
        with torch.no_grad(), set_exploration_type(ExplorationType.RANDOM):
            batch = env.rollout(FRAMES, actor, break_when_any_done=False)
        ended = batch["next", "done"].squeeze(-1)
        returns.append(float(batch["next", "episode_reward"][ended].mean()))
        for _ in range(EPOCHS):
            with torch.no_grad():
                advantage(batch)
            for chosen in torch.randperm(FRAMES).split(MINIBATCH):
                losses = loss(batch[chosen])
                total = losses["loss_objective"] + losses["loss_critic"] + losses["loss_entropy"]
                optimizer.zero_grad()
                total.backward()
                optimizer.step()
    return sum(returns[-3:]) / 3


def test_torchrl_beats_the_random_policy(tmp_path: Any) -> None:
    settings = easy_settings(tmp_path)
    baseline = random_return(easy_env(settings))
    returns = [trained_return(settings, seed) for seed in (0, 1, 2)]
    assert min(returns) > baseline, f"returns {returns}, random policy {baseline}"
