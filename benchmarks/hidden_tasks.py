"""Tasks with hidden variation: NAS-Bench-201 on devices that nobody describes, split for meta-learning.

| split | data sets | devices |
|---|---|---|
| train | CIFAR-10, CIFAR-100 | 256, one each |
| validation | CIFAR-10, CIFAR-100 | 32 others |
| test | ImageNet16-120 | 32 others again |

So the tasks of `test` share neither data set nor device with those trained on. See `nasgym.evaluation.tables.families`
for the reward; no observation shows the device or the data set.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures.spaces import FixedSpace, load_space
from nasgym.envs import MetaEpisodes
from nasgym.envs.vector.meta_episodes import MetaEpisodeVectorEnv
from nasgym.evaluation.tables import Table, TabularBenchmark
from nasgym.evaluation.tables.families import Device, device_table
from nasgym.evaluation.tables.published import import_table
from nasgym.tasks import Task

FAMILY_SEEDS = {"train": 0, "validation": 0, "test": 2}
"""Of the devices. Regrets on the test devices of seeds 0 and 1 were seen while the family was made; those of seed 2 are
untouched."""
MURK = 3.0
"""Clarity is drawn from 1/MURK to 1."""
EPISODES = 10
"""K: networks proposed in a meta-episode."""
SPLITS = {
    "train": (("cifar10", "cifar100"), 256),
    "validation": (("cifar10", "cifar100"), 32),
    "test": (("imagenet16-120",), 32),
}
"""Data sets, taken in turn, and number of devices."""


@dataclass(frozen=True)
class HiddenTasks:
    """The tasks of one split.

    Attributes:
        table: whose accuracies are the rewards.
        devices: of the tasks.
    """

    table: Table
    devices: tuple[Device, ...]

    @property
    def tasks(self) -> tuple[Task, ...]:
        """As environments take them."""
        return tuple(task.task for task in self.table.tasks)

    @cached_property
    def rewards(self) -> NDArray[np.float64]:
        """Of every network on every task, shape `(n_tasks, n_networks)`."""
        return np.array(self.table.accuracies[:, 0])

    @cached_property
    def regrets(self) -> NDArray[np.float64]:
        """The same as normalised regret: 0 for the best network of a task, 1 for its median network."""
        best, median = self.rewards.max(axis=1, keepdims=True), np.median(self.rewards, axis=1, keepdims=True)
        regrets: NDArray[np.float64] = (best - self.rewards) / (best - median)
        return regrets

    @cached_property
    def rows_of_actions(self) -> NDArray[np.int64]:
        """The row of each network by its actions, shape `(5, 5, 5, 5, 5, 5)`."""
        space = load_space("cell201")
        assert isinstance(space, FixedSpace)
        words = [self.table.layout.words.index(action) + 1 for action in space.actions]  # type: ignore[arg-type]  # all of them add layers
        action_of_word = np.zeros(len(words) + 1, dtype=np.int64)
        action_of_word[words] = np.arange(len(words))
        rows = np.zeros((len(words),) * space.max_layers, dtype=np.int64)
        rows[tuple(action_of_word.take(self.table.words).T)] = np.arange(len(self.table))
        return rows


def hidden_tasks(source: Path, folder: Path, split: str) -> HiddenTasks:
    """Return a split, whose table is kept in `folder`.

    Args:
        source: the CSV file of NAS-Bench-201, see docs/tables.md.
        folder: where tables are kept.
        split: one of `SPLITS`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cells = folder / "nas-bench-201.table"
    table = Table(cells) if cells.exists() else import_table("nas-bench-201", source, cells)
    data_sets, n = SPLITS[split]
    kinds = len(table.layout.words)
    devices = tuple(Device.drawn(f"{split} {number}", kinds, FAMILY_SEEDS[split], murk=MURK) for number in range(n))
    path = folder / f"{split}.table"
    if not path.exists():
        device_table(table, [(data_sets[n % len(data_sets)], device) for n, device in enumerate(devices)], path)
    return HiddenTasks(Table(path), devices)


def environments(tasks: HiddenTasks, n: int, *, draws: bool, episodes: int = EPISODES, **settings: Any) -> Any:
    """Return meta-episodes of NAS-Bench-201 cells, each cell rewarded when it is complete.

    Args:
        tasks: to play.
        n: environments.
        draws: whether each meta-episode draws a task; else tasks are given with `reset`.
        episodes: K.
        **settings: as of `ArchitectureVectorEnv`; `observe` are the signals.
    """
    observe = settings.pop("observe", ("action", "reward", "step", "end", "episode"))
    given = {"observation": "compact", "reward_timing": "terminal"} | settings
    return MetaEpisodeVectorEnv(
        n,
        MetaEpisodes(episodes, tasks.tasks if draws else None, observe=observe),
        space="cell201",
        task=tasks.tasks[0],
        estimator=TabularBenchmark(tasks.table),
        autoreset_mode="SameStep",
        **given,
    )
