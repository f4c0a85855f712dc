"""Agents learn what is known by hand to be best, and fail where it is known that nothing can be learned."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from bandits import HiddenArm, PlainBandit

from nasgym.agents import AgentConfig, Defects, PolicySpec, Trainer, named_agent, play

ENVS = 64
STEPS = 80_000
SMALL = {"memory": {"size": 32}, "optimizer": {"learning_rate": 0.01}, "algorithm": {"epochs": 4, "minibatches": 2}}
RL2 = named_agent("rl2", SMALL)


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def mean_return(config: AgentConfig, envs: Any, signals: tuple[str, ...], seed: int, steps: int = STEPS) -> float:
    """Return the mean return of a meta-episode, of 512 played with the weights frozen after training."""
    spec = PolicySpec.of(envs, space="bandit", signals=signals)
    trainer = Trainer(config, envs, spec=spec, seed=seed, total_steps=steps)
    while trainer.steps < trainer.total_steps:
        trainer.update()
    played = play(trainer.policy, envs, 512, seed=seed + 1)
    return float(played.table("total_reward").sum(axis=1).mean())


ALL = ("reward", "step", "end", "episode")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_memory_across_episodes_finds_the_hidden_arm(seed: int) -> None:
    envs = HiddenArm(ENVS)
    assert (envs.best, envs.without_feedback) == (6.5, 2.0)
    assert mean_return(RL2, envs, ALL, seed) > 5.8


@pytest.mark.slow
@pytest.mark.parametrize("memory", ["gru", "attention"])
def test_other_memories_find_it_too(memory: str) -> None:
    config = named_agent("rl2", SMALL | {"memory": {"kind": memory, "size": 32}})
    assert mean_return(config, HiddenArm(ENVS), ALL, seed=0) > 5.8


LOSING = {
    "without memory": (named_agent("rl2", SMALL | {"memory": {"kind": "none", "size": 32}}), True),
    "with memory reset in each episode": (replace(RL2, defects=Defects(memory_reset_each_episode=True)), True),
    "without seeing rewards": (RL2, False),
}


@pytest.mark.slow
@pytest.mark.parametrize(("config", "shows_reward"), LOSING.values(), ids=LOSING)
def test_nothing_else_does_better_than_without_feedback(config: AgentConfig, shows_reward: bool) -> None:
    envs = HiddenArm(ENVS, shows_reward=shows_reward)
    signals = ALL if shows_reward else ALL[1:]
    reached = mean_return(config, envs, signals, seed=0, steps=STEPS // 2)
    assert reached == pytest.approx(
        envs.without_feedback, abs=0.35
    )  # 512 meta-episodes: a standard error of 0.15 at most


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_reinforce_learns_a_plain_bandit(seed: int) -> None:
    config = named_agent("reinforce", {"memory": {"size": 16}, "optimizer": {"learning_rate": 0.01}})
    envs = PlainBandit(ENVS)
    assert float(envs.odds.mean()) == 0.5
    assert mean_return(config, envs, (), seed, steps=20_000) > 0.8
