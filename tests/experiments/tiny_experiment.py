"""A tiny experiment on the digits: every kind of stage, done in seconds."""

import tomllib
from pathlib import Path
from typing import Any

TINY = """
name = "tiny"
title = "A tiny experiment"
paper = 1
scaled = ["Everything is tiny."]

[defaults.task]
source = "digits"
size = 8
epochs = 1
samples = 50

[environment]
space = "chain"
max_layers = 3
max_steps = 3
profile = "paper"
reward_timing = "every_step"
episodes = 1
masks = false

[agents.meta-a2c]
name = "paper"
memory = { size = 8 }
defects = { memory_reset_each_episode = true, returns_cut_at_episodes = true }

[agents.dqn]
name = "dqn"
learning_starts = 10
hidden = [8]
dueling = 8

[tasks.low]
classes = ["0", "1", "2"]
paper = "omniglot"

[tasks.high]
classes = ["7", "8", "9"]
paper = "dtd"

[stages.meta-low]
kind = "train"
agent = "meta-a2c"
paper = "dmrl"
tasks = "low"
steps = 30

[stages.meta-high]
kind = "train"
agent = "meta-a2c"
paper = "dmrl"
tasks = "high"
init = "meta-low"
steps = 20

[stages.dqn-low]
kind = "train"
agent = "dqn"
paper = "dqn"
tasks = "low"
environment = { signals = [] }
steps = 25

[stages.walk-low]
kind = "walk"
paper = "random"
tasks = "low"
steps = 24

[stages.frozen]
kind = "frozen"
paper = "dmrl"
policy = "meta-high"
tasks = "low"
steps = 16

[stages.hardness]
kind = "hardness"
tasks = ["low", "high"]
steps = 8

[stages.final]
kind = "final"
best_of = "frozen"
tasks = "low"
networks = 2
trainings = 2
profile = "paper"
epochs = 1
"""
"""As TOML."""


def tiny() -> dict[str, Any]:
    """Return the settings."""
    return tomllib.loads(TINY)


def write(text: str = TINY, file: str | Path = "tiny.toml") -> Path:
    """Write a file, and return it."""
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
