"""Agents as configurations: names, overrides, refusals."""

import json

import pytest

from nasgym.agents import AgentConfig, Defects, agent_config, named_agent
from nasgym.agents.config import A2C, Attention, Gru, Losses, Lstm, Ppo, Rollout
from nasgym.agents.named import NAMED
from nasgym.agents.schedules import Constant, Linear
from nasgym.core.errors import ConfigurationError


@pytest.mark.parametrize("name", NAMED)
def test_a_configuration_survives_json(name):
    assert agent_config(json.loads(json.dumps(NAMED[name].to_json()))) == NAMED[name] == named_agent(name)


def test_the_agent_of_the_paper_has_the_settings_of_the_paper():
    paper = named_agent("paper")
    assert (paper.algorithm, paper.memory, paper.rollout) == (A2C(), Lstm(128), Rollout(5, whole_meta_episodes=False))
    assert (paper.returns.discount, paper.returns.gae_lambda, paper.returns.normalize_advantages) == (0.9, 1.0, False)
    assert (paper.losses.value, paper.losses.entropy) == (0.5, Constant(0.01))
    optimizer = paper.optimizer
    assert (optimizer.kind, optimizer.learning_rate, optimizer.gradient_norm) == ("rmsprop", Constant(1e-3), 0.5)
    assert (optimizer.decay, optimizer.epsilon) == (0.99, 1e-5)
    assert paper.defects == Defects() == Defects(*4 * [False])


def test_overrides_reach_into_tables_and_leave_the_rest():
    config = named_agent(
        "rl2",
        {
            "memory": {"kind": "gru", "size": 32},
            "algorithm": {"epochs": 1},
            "losses": {"entropy": 0.02},
            "optimizer": {"learning_rate": {"kind": "linear", "start": 0.01}},
            "defects": {"shifted_inputs": True},
        },
    )
    assert (config.memory, config.algorithm) == (Gru(32), Ppo(epochs=1))
    assert (config.losses, config.optimizer.learning_rate) == (Losses(entropy=Constant(0.02)), Linear(0.01))
    assert (config.defects, config.rollout) == (Defects(shifted_inputs=True), AgentConfig().rollout)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"memry": {}}, r"Unknown setting 'memry' .*Did you mean 'memory'\?"),
        ({"memory": {"siz": 3}}, r"Unknown setting 'memory\.lstm\.siz' .*known: size, kind.*Did you mean 'size'\?"),
        ({"optimizer": {"epsilom": 1}}, r"'optimizer\.epsilom' .*Did you mean 'epsilon'\?"),
        ({"memory": {"kind": "lsmt"}}, "memory: .*'lstm', 'gru', 'attention', 'none'"),
        ({"returns": {"discount": 1.5}}, r"returns\.discount is from 0 to 1, got 1\.5"),
        ({"rollout": {"steps": 0}}, r"rollout\.steps is at least 1, got 0"),
        ({"algorithm": {"kind": "ppo", "clip": 0.0}}, r"algorithm\.clip is above 0, got 0\.0"),
        ({"algorithm": {"kind": "reinforce", "baseline_decay": 2.0}}, r"algorithm\.baseline_decay is from 0 to 1"),
        ({"losses": {"entropy": {"kind": "linear", "start": 1, "end": -1}}}, r"losses\.entropy is at least 0, got -1"),
        ({"memory": {"kind": "attention", "size": 10, "heads": 4}}, "4 attention heads cannot share a width of 10"),
        ({"memory": {"kind": "attention", "context": 0}}, r"memory\.context is at least 1"),
        ({"rollout": {"steps": "many"}}, r"rollout\.steps: .*got 'many'"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(overrides, message):
    with pytest.raises(ConfigurationError, match=message):
        named_agent("rl2", overrides)


def test_an_unknown_agent_is_refused_with_the_nearest():
    with pytest.raises(ConfigurationError, match=r"Unknown agent 'papr'.*Did you mean 'paper'\?"):
        named_agent("papr")


def test_attention_is_a_memory_like_any_other():
    assert named_agent("rl2", {"memory": {"kind": "attention"}}).memory == Attention()
