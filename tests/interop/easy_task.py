"""A table in which convolutions are good and poolings are bad: something to learn in seconds."""

from itertools import product
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

import nasgym.envs
from nasgym.architectures import Architecture, Layer, Operation
from nasgym.architectures.spaces import load_space
from nasgym.core.randomness import stream
from nasgym.evaluation import Completed
from nasgym.evaluation.tables import TableBuilder, TableDescription, TableTask, TabularBenchmark
from nasgym.tasks import Fidelity

DEPTH = 3
TASK = TableTask("easy", "easy", (32, 32, 3), 10, Fidelity(1))
VALUES = {Operation.CONVOLUTION: 0.1, Operation.MAX_POOLING: -0.1, Operation.AVERAGE_POOLING: -0.05}


def easy_settings(folder: Path) -> dict[str, Any]:
    """Return the settings of a chain environment of depth 3 on the table, made in `folder`."""
    space = load_space("chain", max_layers=DEPTH)
    builder = TableBuilder(TableDescription("easy", (TASK,), "default", "made up"))
    for depth in range(DEPTH + 1):
        for words in product(space.actions[:-1], repeat=depth):
            layers = tuple(Layer(word.operation, word.kernel, (place,)) for place, word in enumerate(words))
            accuracy = 0.4 + sum(VALUES[word.operation] * word.kernel / 3 for word in words)
            builder.add(Architecture(layers), TASK.fingerprint, 0, Completed(float(np.clip(accuracy, 0, 1))))
    table = builder.write(folder / "easy.nasgym-table")
    return {
        "max_layers": DEPTH,
        "task": TASK.task,
        "estimator": TabularBenchmark(table),
        "reward_timing": "terminal",
    }


def easy_env(settings: dict[str, Any]) -> gymnasium.Env[Any, Any]:
    """Return one environment."""
    return gymnasium.make(next(iter(nasgym.envs.ENVIRONMENTS)), **settings)


def random_return(env: gymnasium.Env[Any, Any], episodes: int = 200) -> float:
    """Return the mean return of random legal actions."""
    generator = stream(0, "random policy")
    total = 0.0
    for _ in range(episodes):
        _, info = env.reset()
        ended = False
        while not ended:
            action = generator.choice(np.flatnonzero(info["action_mask"]))
            _, reward, terminated, truncated, info = env.step(action)
            total += float(reward)
            ended = terminated or truncated
    return total / episodes
