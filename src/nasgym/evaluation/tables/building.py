"""Writing tables: outcomes go in one by one, in any order; a file comes out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures import Architecture, architecture_id, canonical
from nasgym.core.errors import TableError
from nasgym.evaluation.outcome import Completed, Failed, Metrics, Outcome
from nasgym.evaluation.tables.container import write_container
from nasgym.evaluation.tables.description import TableDescription
from nasgym.evaluation.tables.layout import Layout
from nasgym.evaluation.tables.table import COMPLETED, STATES, TABLE, Table
from nasgym.networks.profiles import profile


class TableBuilder:
    """Collects what a table will hold.

    Args:
        description: of the table.

    Raises:
        ConfigurationError: its network profile is unknown.
    """

    def __init__(self, description: TableDescription) -> None:
        self.description = description
        self._profile = profile(description.profile)
        self._rows: dict[str, int] = {}
        self._architectures: list[Architecture] = []
        self._outcomes: dict[tuple[int, int, int], Outcome] = {}
        self._tests: dict[tuple[int, int], float] = {}
        self._places = {
            (task.fingerprint, seed): (number, repeat)
            for number, task in enumerate(description.tasks)
            for repeat, seed in enumerate(task.seeds)
        }
        self._tasks = {task.fingerprint: number for number, task in enumerate(description.tasks)}

    def __len__(self) -> int:
        """Return the number of networks so far."""
        return len(self._architectures)

    def add(self, architecture: Architecture, fingerprint: str, seed: int, outcome: Outcome) -> None:
        """Take in the outcome of a network on the task with these data, with this evaluation seed.

        Raises:
            TableError: the table has no such task or seed, another outcome is there, or the accuracy is not in [0, 1].
        """
        if (fingerprint, seed) not in self._places:
            raise TableError(
                f"Table {self.description.name!r} has no task with data {fingerprint!r} and seed {seed}; "
                "the description must list both."
            )
        if isinstance(outcome, Completed) and not 0 <= outcome.accuracy <= 1:
            raise TableError(f"'{architecture}' has accuracy {outcome.accuracy}; an accuracy lies in [0, 1].")
        place = (*self._places[fingerprint, seed], self._row(architecture))
        known = self._outcomes.setdefault(place, outcome)
        if known != outcome:
            raise TableError(f"'{architecture}' has two outcomes for seed {seed} of {fingerprint!r}; keep one.")

    def add_test(self, architecture: Architecture, fingerprint: str, score: float) -> None:
        """Take in a score for reporting, in [0, 1].

        Raises:
            TableError: it is not in [0, 1].
        """
        if not 0 <= score <= 1:
            raise TableError(f"'{architecture}' has test score {score}; a score lies in [0, 1].")
        self._tests[self._tasks[fingerprint], self._row(architecture)] = score

    def write(self, path: str | Path) -> Table:
        """Write the table in place of what is at `path`, and return it.

        Raises:
            TableError: it is empty, its architectures are of several kinds, or the file cannot be written.
        """
        if not self._architectures:
            raise TableError(f"Table {self.description.name!r} would be empty; nothing is written.")
        layout = Layout.of(self._architectures)
        if layout.skeleton is not self.description.skeleton:
            raise TableError(
                f"The networks have skeleton {layout.skeleton.token!r}, the description of table "
                f"{self.description.name!r} says {self.description.skeleton.token!r}."
            )
        ids = np.array([int(name, 16) for name in self._rows], dtype=np.uint64)
        order = np.argsort(ids)
        arrays = {name: array[order] for name, array in layout.encode(self._architectures).items()}
        arrays |= {name: array[..., order] for name, array in self._columns().items()}
        arrays["ids"] = ids[order]
        description = {
            "table": self.description.to_json(),
            "layout": layout.to_json(),
            "states": list(STATES),
            "profile_fingerprint": self._profile.fingerprint,
        }
        write_container(Path(path), TABLE, description, arrays)
        return Table(path)

    def _row(self, architecture: Architecture) -> int:
        name = architecture_id(architecture, self._profile.leaves)
        row = self._rows.get(name)
        if row is None:
            row = self._rows[name] = len(self._architectures)
            self._architectures.append(canonical(architecture, self._profile.leaves))
        return row

    def _columns(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of outcomes and scores, the networks in the order in which they came."""
        n_tasks, n_repeats, n = len(self.description.tasks), self.description.n_repeats, len(self)
        per_repeat, per_task = (n_tasks, n_repeats, n), (n_tasks, n)
        columns: dict[str, NDArray[Any]] = {
            "states": np.zeros(per_repeat, dtype=np.uint8),
            "accuracies": np.full(per_repeat, np.nan),
            "seconds": np.zeros(per_repeat, dtype=np.float32),
            "test": np.full(per_task, np.nan),
        }
        for place, outcome in self._outcomes.items():
            columns["seconds"][place] = outcome.metrics.seconds
            if isinstance(outcome, Failed):
                columns["states"][place] = STATES.index(outcome.kind.value)
            else:
                columns["states"][place] = COMPLETED
                columns["accuracies"][place] = outcome.accuracy
        columns["parameters"] = self._costs(per_task, np.int64, lambda metrics: metrics.parameters)
        columns["flops"] = self._costs(per_task, np.int64, lambda metrics: metrics.flops)
        columns["densities"] = self._costs(per_task, np.float64, lambda metrics: metrics.density)
        for place_of_test, score in self._tests.items():
            columns["test"][place_of_test] = score
        return columns

    def _costs(self, shape: tuple[int, int], dtype: type[np.generic], read: Callable[[Metrics], float]) -> NDArray[Any]:
        """Return one cost of each network on each task: that of its first outcome that tells."""
        costs = np.zeros(shape, dtype=dtype)
        for (task, _, row), outcome in self._outcomes.items():
            if not costs[task, row]:
                costs[task, row] = read(outcome.metrics)
        return costs
