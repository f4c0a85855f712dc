"""Agents of third parties: one that is found through its entry point is trained, kept and tested like the others."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from meta_samples import small_table, toml
from nasgym.agents.acting import play
from nasgym.agents.bridges.chance import ChancePlayer
from nasgym.agents.bridges.protocol import Lesson, Progress
from nasgym.agents.config import Defects
from nasgym.agents.files import read_tensors, write_tensors
from nasgym.agents.spec import PolicySpec
from nasgym.cli.main import app
from nasgym.core import plugins
from nasgym.core.errors import ConfigurationError, PluginError
from nasgym.experiments.meta.agents import agent_named

KIND = "favourite actions"


@dataclass
class Favourites:
    """Takes the legal action that earned most when it was tried."""

    spec: PolicySpec
    worth: np.ndarray
    defects: Defects = field(default_factory=Defects)

    def begin(self, n, seed):
        pass

    def act(self, seen, *, greedy):
        return np.where(seen.mask, self.worth, -1.0).argmax(axis=1)

    def play(self, envs, meta_episodes, **how):
        return play(self, envs, meta_episodes, **how)


@dataclass
class Trying:
    """Tries actions at random, and remembers what the episodes with each of them earned."""

    envs: Any
    spec: PolicySpec
    lesson: Lesson
    number: int = 0
    steps: int = 0

    def __post_init__(self):
        self.earned = np.zeros((2, self.spec.n_actions))

    def learn(self, hear: Callable[[Progress], None]) -> None:
        while self.steps < self.lesson.steps:
            played = ChancePlayer(self.spec).play(self.envs, 8, seed=self.lesson.seed + self.number)
            for episode in played.episodes:
                for action in episode.actions:
                    self.earned[:, action] += (episode.total_reward, 1)
            self.number += 1
            self.steps += sum(episode.length for episode in played.episodes)
            hear(Progress(self.number, self.steps, 0.1, 8, float(played.table("total_reward").sum(axis=1).mean())))

    def player(self):
        return Favourites(self.spec, self.earned[0] / np.maximum(1, self.earned[1]))

    def save(self, path: Path, provenance: Mapping[str, Any]) -> None:
        pass

    def save_policy(self, path: Path, provenance: Mapping[str, Any]) -> None:
        header = {"spec": asdict(self.spec), "provenance": dict(provenance)}
        write_tensors(path, KIND, header, {"worth": torch.from_numpy(self.player().worth)})


class Agent:
    observation = "compact"
    environments = 4

    def check(self, settings):
        if settings:
            raise ConfigurationError(f"{KIND} have no settings, got {settings}.")

    def start(self, envs, spec, lesson):
        return Trying(envs, spec, lesson)

    def resume(self, checkpoint, envs, lesson):
        raise AssertionError("writes no checkpoints")

    def load(self, path):
        header, tensors = read_tensors(path, KIND)
        frozen = {name: tuple(value) if isinstance(value, list) else value for name, value in header["spec"].items()}
        return Favourites(PolicySpec(**frozen), tensors["worth"].numpy())


class NoAgent:
    observation = "compact"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    points = {name: EntryPoint(name, f"{__name__}:{kind}", "nasgym.agents") for name, kind in NAMES.items()}
    monkeypatch.setattr(plugins, "available", lambda group: points if group == "nasgym.agents" else {})


NAMES = {"favourites": "Agent", "none-at-all": "NoAgent"}


def test_an_agent_of_a_plug_in_is_trained_and_tested_by_the_commands(installed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small_table(Path("small.table"))
    values = {
        "agent": {"name": "favourites"},
        "environment": {"space": "chain", "max_layers": 2, "episodes": 2},
        "tasks": {"table": "small.table", "train": ["s*"], "validation": ["wood"]},
        "run": {"steps": 600, "evaluation_meta_episodes": 2},
    }
    Path("mine.toml").write_text(toml(values))
    for words in (
        ("meta-train", "mine.toml"),
        ("meta-test", "runs/mine/policy.safetensors", "--tasks", "sea", "--meta-episodes", "3", "--baseline", "random"),
    ):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
    assert "favourites learns on sea and sky, wood held out; 4 environments, 600 steps." in CliRunner().invoke(
        app, ("meta-train", "mine.toml", "--out", "again")
    ).output.replace("\n", "")


def test_settings_of_such_an_agent_are_its_own_business(installed):
    with pytest.raises(ConfigurationError, match="have no settings"):
        agent_named("favourites").check({"speed": 3})


def test_something_else_is_no_agent(installed):
    with pytest.raises(PluginError, match=r"'none-at-all' of 'nasgym\.agents' gave .* which has no check, no start"):
        agent_named("none-at-all")
    with pytest.raises(ConfigurationError, match=r"known: rl2, .*, favourites, none-at-all.*Did you mean 'favourites'"):
        agent_named("favorites")
