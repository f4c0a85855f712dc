"""Configurations of meta-trainings: what is understood, and what is refused with the key and the remedy."""

from pathlib import Path
from typing import Any

import pytest

from nasgym.core.errors import ConfigurationError
from nasgym.envs import Signal
from nasgym.experiments.meta.agents import agent_named
from nasgym.experiments.meta.config import make_meta_config

TASKS = {"train": ["digits"]}


def make(**sections: Any):
    return make_meta_config({"tasks": TASKS} | sections, source="my.toml")


def test_defaults_are_a_live_training_of_rl2_by_the_reward_of_finished_networks():
    config = make()
    assert (config.agent.name, config.agent.settings, config.tasks.are_live) == ("rl2", {}, True)
    assert config.environment.reward_timing == "terminal"
    assert config.environment.signals == tuple(Signal)
    assert config.run.steps_between_looks == 50_000
    assert config.environments() == 4


def test_a_table_is_played_in_more_environments_unless_the_agent_or_the_user_wishes_otherwise():
    config = make(tasks={"table": "t.table", "train": ["a"]})
    assert (config.environments(), config.environments(1)) == (64, 1)
    assert make(environment={"environments": 7}).environments(1) == 7


def test_what_stands_beside_the_name_of_an_agent_is_its_settings():
    config = make(agent={"name": "ppo", "init": "p.safetensors", "memory": {"kind": "gru"}})
    assert config.agent.init == Path("p.safetensors")
    assert config.agent.settings == {"memory": {"kind": "gru"}}
    assert make_meta_config(config.model_dump(mode="json")) == config


def test_a_number_is_a_list_of_one_and_a_text_is_a_source():
    (task,) = make(tasks={"train": {"source": "photos/", "samples": 100}}).tasks.train
    assert (task.source, task.samples) == ("photos", (100,))


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        (
            {"environment": {"episods": 3}},
            r"In my\.toml: unknown key 'environment\.episods'\. Did you mean 'episodes'\?",
        ),
        ({"tasks": {"train": [{"source": "x", "sise": 8}]}}, r"'tasks\.train\.0\.sise'\. Did you mean 'size'\?"),
        ({"tasks": {"train": []}}, r"'tasks\.train' is \[\]"),
        ({"tasks": {"validation": ["x"]}}, r"'tasks\.train' is missing"),
        ({"runs": {}}, r"unknown key 'runs'\. Did you mean 'run'\?"),
        ({"run": {"steps": 0}}, r"'run\.steps' is 0: .*greater than or equal to 1"),
        ({"run": {"checkpoint_every": "soon"}}, r"'run\.checkpoint_every' is 'soon': a duration looks like"),
        ({"environment": {"objective": "speed"}}, r"'environment\.objective' is 'speed'"),
        ({"tasks": {"train": ["a"], "table": "t", "surrogate": "s"}}, r"table and surrogate exclude each other"),
        ({"tasks": {"train": [{"source": "x", "subsets": 3}]}}, r"subsets and n_classes go together"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(sections, words):
    with pytest.raises(ConfigurationError, match=words):
        make(**sections)


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("rl3", {}, r"Unknown agent 'rl3' \(known: rl2, .*masked-ppo.*Did you mean 'rl2'\?"),
        ("rl2", {"memry": {}}, r"Unknown setting 'memry' of an agent.*Did you mean 'memory'\?"),
        ("dqn", {"replays": 3}, r"Unknown setting 'replays' of agent 'dqn'.*Did you mean 'replay'\?"),
        ("masked-ppo", {"clip": "much"}, r"agent\.clip is 'much': input should be a valid number"),
    ],
)
def test_a_wrong_agent_or_setting_of_it_is_refused_by_its_name(name, settings, words):
    with pytest.raises(ConfigurationError, match=words):
        agent_named(name).check(settings)
