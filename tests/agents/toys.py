"""Small environments to train agents in: tables of chains, and a corridor that is cut off."""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from nasgym.architectures import Architecture, Layer
from nasgym.architectures.spaces import load_space
from nasgym.core.randomness import stream
from nasgym.envs import MetaEpisodes
from nasgym.envs.vector import make_vector_env
from nasgym.evaluation import Completed
from nasgym.evaluation.tables import Table, TableBuilder, TableDescription, TableTask, TabularBenchmark
from nasgym.tasks import Fidelity

TASKS = tuple(TableTask(name, f"data-{name}", (32, 32, 3), 10, Fidelity(1)) for name in ("one", "other"))


def table_of_chains(folder: Path) -> Table:
    """Return a table of all chains of up to two layers on two tasks, with accuracies from a generator."""
    words = load_space("chain", max_layers=2).actions[:-1]
    layers = [[Layer(word.operation, word.kernel, (place,)) for word in words] for place in range(2)]
    networks = [(), *((first,) for first in layers[0])]
    networks += [(first, second) for first in layers[0] for second in layers[1]]
    builder = TableBuilder(TableDescription("toys", TASKS, "default", "made up"))
    generator = stream(0, "toys")
    for network in networks:
        for task in TASKS:
            builder.add(Architecture(network), task.fingerprint, 0, Completed(generator.random()))
    return builder.write(folder / "toys.nasgym-table")


def chains(table: Table, n: int = 4, episodes: int = 3, **settings: Any) -> Any:
    """Return `n` environments of chains of up to two layers, with meta-episodes on both tasks of `table`."""
    meta = MetaEpisodes(episodes, tasks=[task.task for task in table.tasks])
    given = {"observation": "compact", "autoreset_mode": "SameStep", "meta": meta, "max_layers": 2, **settings}
    task = table.tasks[0].task
    return make_vector_env(n, space="chain", task=task, estimator=TabularBenchmark(table), **given)


class Corridor(gymnasium.Env[np.ndarray, int]):
    """The place is observed, over `length`; action 1 goes on, action 0 stays; each step pays the place it leads to."""

    def __init__(self, length: int = 3) -> None:
        self.length = length
        self.observation_space = gymnasium.spaces.Box(0.0, 1.0, (1,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.place = 0
        return self._seen(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.place += int(action)
        return self._seen(), float(self.place), self.place >= self.length, False, {}

    def _seen(self) -> np.ndarray:
        return np.array([self.place / self.length], dtype=np.float32)


def corridors(n: int = 2, max_steps: int = 2) -> SyncVectorEnv:
    """Return `n` corridors, cut off after `max_steps` steps."""
    make = [lambda: gymnasium.wrappers.TimeLimit(Corridor(), max_steps) for _ in range(n)]
    return SyncVectorEnv(make, autoreset_mode=AutoresetMode.SAME_STEP)
