"""Tables: every network of a benchmark with what is known about it, read from a file by memory map."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures import Architecture, Skeleton, architecture_id
from nasgym.architectures.spaces import BUILT_IN, SearchSpace, load_space, space_from_text
from nasgym.core.errors import TableError, nearest
from nasgym.evaluation.outcome import Completed, Failed, FailureKind, Metrics, Outcome
from nasgym.evaluation.tables.codes import CodeIndex
from nasgym.evaluation.tables.container import Format, read_container
from nasgym.evaluation.tables.description import TableDescription, TableTask
from nasgym.evaluation.tables.index import KeyIndex
from nasgym.evaluation.tables.layout import Layout
from nasgym.networks.profiles import NetworkProfile, profile

TABLE = Format(name="nasgym-table", version=1, noun="table")
STATES = ("missing", "completed", *(kind.value for kind in FailureKind))
"""What `states` counts: position 0 means that the table says nothing."""
MISSING, COMPLETED = 0, 1


class Table:
    """A table as it lies in a file; nothing of it changes. Pickles as its path.

    With `t` tasks, `k` repeats and `n` networks:

    Attributes:
        path: the file.
        description: tasks, profile, provenance.
        layout: how the architectures are laid out.
        digest: SHA-256 of the contents.
        ids: canonical ids, ascending, shape `(n,)`, uint64.
        states: position in `STATES`, shape `(t, k, n)`, uint8.
        accuracies: in [0, 1], NaN where there is none, shape `(t, k, n)`, float64.
        seconds: of the evaluations, shape `(t, k, n)`, float32.
        parameters: trainable parameters, 0 where unknown, shape `(t, n)`, int64.
        flops: per image, a multiply-add as two, 0 where unknown, shape `(t, n)`, int64.
        densities: edges / nodes, shape `(t, n)`, float64.

    Raises:
        TableError: no such file, not a table, damaged, written by a newer nasgym, or of another network profile.
        ConfigurationError: its network profile is unknown.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        contents = read_container(self.path, TABLE)
        self.digest = contents.digest
        self._arrays: Mapping[str, NDArray[Any]] = contents.arrays
        self.description = TableDescription.from_json(contents.description["table"])
        self.layout = Layout.from_json(contents.description["layout"], self.description.skeleton)
        self.profile: NetworkProfile = profile(self.description.profile)
        changed = contents.description["profile_fingerprint"] != self.profile.fingerprint
        if changed and self.description.skeleton is Skeleton.LAYERED:  # a profile decides nothing of other networks
            raise TableError(
                f"{self.path}: the table was made with another network profile {self.profile.name!r} than this nasgym "
                "has; build it again."
            )
        self._states = contents.description["states"]
        self.ids: NDArray[np.uint64] = self._arrays["ids"]
        self.states: NDArray[np.uint8] = self._arrays["states"]
        self.accuracies: NDArray[np.float64] = self._arrays["accuracies"]
        self.seconds: NDArray[np.float32] = self._arrays["seconds"]
        self.parameters: NDArray[np.int64] = self._arrays["parameters"]
        self.flops: NDArray[np.int64] = self._arrays["flops"]
        self.densities: NDArray[np.float64] = self._arrays["densities"]

    def __len__(self) -> int:
        return len(self.ids)

    def __reduce__(self) -> tuple[type["Table"], tuple[Path]]:
        return (Table, (self.path,))

    @property
    def tasks(self) -> tuple[TableTask, ...]:
        """The tasks, in the order of the arrays."""
        return self.description.tasks

    def task(self, name: str) -> TableTask:
        """Return the task of that name or fingerprint.

        Raises:
            TableError: there is none; names the nearest.
        """
        for task in self.tasks:
            if name in (task.name, task.fingerprint):
                return task
        known = [task.name for task in self.tasks]
        raise TableError(
            f"Table {self.description.name!r} has no task {name!r} (it has {', '.join(known)}).{nearest(name, known)}"
        )

    def task_number(self, fingerprint: str) -> int | None:
        """Return the position of the task with these data; `None` where there is none."""
        return self._task_numbers.get(fingerprint)

    @cached_property
    def space(self) -> SearchSpace:
        """The search space of the table.

        Raises:
            TableError: it was built without one.
        """
        space = self.description.space
        if not space:
            raise TableError(
                f"Table {self.description.name!r} names no search space; name one, or build it again with --space."
            )
        return load_space(space) if space in BUILT_IN else space_from_text(space, source=f"{self.path} (space)")

    @property
    def layout_arrays(self) -> Mapping[str, NDArray[Any]]:
        """The networks as arrays (see `Layout.encode`): `words`, and `inputs` and `headers` where there are any."""
        return {name: self._arrays[name] for name in ("words", "inputs", "headers") if name in self._arrays}

    @property
    def words(self) -> NDArray[np.uint8]:
        """Number of each layer in `layout.words`, plus 1; 0 where there is none, shape `(n, d)`."""
        words: NDArray[np.uint8] = self._arrays["words"]
        return words

    @property
    def inputs(self) -> NDArray[np.uint8] | None:
        """Predecessors of each layer, shape `(n, d, 2)`; `None` where `layout.follows`: its place tells."""
        return self._arrays.get("inputs")

    def architecture(self, row: int) -> Architecture:
        """Return the network of a row."""
        return self.layout.decode(self._arrays, row)

    def architectures(self) -> Iterator[Architecture]:
        """Yield the networks in the order of the rows."""
        return (self.architecture(row) for row in range(len(self)))

    def row(self, architecture: Architecture) -> int | None:
        """Return the row of a network; `None` where the table does not hold it."""
        key = np.uint64(int(architecture_id(architecture, self.profile.leaves), 16))
        row = int(self.ids.searchsorted(key))
        return row if row < len(self.ids) and self.ids[row] == key else None

    def rows(self, ids: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Return the row of each canonical id (as a number), -1 for one that is not in the table, shape `(m,)`."""
        return self._index.rows(ids)

    @cached_property
    def codes(self) -> CodeIndex:
        """The look-up by code, for chains and fixed skeletons; built when first asked for.

        Raises:
            TableError: these networks have no code.
        """
        parts = [self._arrays[name] for name in ("headers", "words") if name in self.layout_arrays]
        return CodeIndex(self.layout, np.concatenate(parts, axis=1))

    def outcome(self, task: int, repeat: int, row: int) -> Outcome:
        """Return what the table says of a network: repeat number `repeat` on task number `task`."""
        metrics = self.costs(task, row, float(self.seconds[task, repeat, row]))
        state = int(self.states[task, repeat, row])
        if state == COMPLETED:
            return Completed(float(self.accuracies[task, repeat, row]), metrics)
        if state == MISSING:
            return self.missing(f"repeat {repeat} of network {int(self.ids[row]):016x} on {self.tasks[task].name!r}")
        kind = FailureKind(self._states[state])
        return Failed(kind, f"{kind.capitalize()}, according to table {self.description.name!r}.", metrics)

    def mean_outcome(self, task: int, row: int) -> Outcome:
        """Return the mean of the repeats that completed; without any, the outcome of the first repeat."""
        completed = np.flatnonzero(self.states[task, :, row] == COMPLETED)
        if not completed.size:
            return self.outcome(task, 0, row)
        seconds = float(self.seconds[task, completed, row].mean())
        return Completed(float(self.accuracies[task, completed, row].mean()), self.costs(task, row, seconds))

    def costs(self, task: int, row: int, seconds: float = 0.0) -> Metrics:
        """Return what a network costs on a task, and `seconds`."""
        return Metrics(
            seconds=seconds,
            parameters=int(self.parameters[task, row]),
            flops=int(self.flops[task, row]),
            density=float(self.densities[task, row]),
        )

    def missing(self, what: str) -> Failed:
        """Return the outcome of what the table does not hold."""
        return Failed(FailureKind.MISSING, f"Table {self.description.name!r} does not hold {what}.")

    def test_score(self, task: int, row: int) -> float | None:
        """Return the score of a network that is for reporting only, in [0, 1]; `None` where there is none."""
        score = float(self.test_scores(task)[row])
        return None if np.isnan(score) else score

    def test_scores(self, task: int) -> NDArray[np.float64]:
        """Return the scores for reporting of every network, NaN where there is none, shape `(n,)`.

        Nothing that searches may read them; no estimator does.
        """
        scores: NDArray[np.float64] = self._arrays["test"][task]
        return scores

    @cached_property
    def _index(self) -> KeyIndex:
        return KeyIndex(self.ids)

    @cached_property
    def _task_numbers(self) -> dict[str, int]:
        return {task.fingerprint: number for number, task in enumerate(self.tasks)}
