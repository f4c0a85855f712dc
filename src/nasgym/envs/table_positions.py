"""Positions on a table whose layers follow one another: a step is a few look-ups.

`PositionTree` plans every network that it meets. Here the tables of states of the vector form tell what exists, and
the row of a network is found by its code, so that an unknown network costs no more than one met before. What a
position knows beside that (its rows, its text, its plan) is found in a tree when it is asked for.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures import architecture_id
from nasgym.architectures.spaces.space import SearchSpace
from nasgym.envs.positions import Position, PositionTree
from nasgym.envs.vector.answers import TableColumns
from nasgym.envs.vector.lookup import MISSING, CodeLookup, lookup
from nasgym.envs.vector.rows import one_hots
from nasgym.envs.vector.sequences import SequenceWalk
from nasgym.envs.vector.walk import STOPS
from nasgym.envs.vector.walks import make_walk
from nasgym.evaluation.evaluator import Evaluation, Evaluator
from nasgym.evaluation.tables import TabularBenchmark
from nasgym.tasks import Budget, Task

_STRAY = -1
"""Code of a network with a layer that no network of the table has."""


class TablePosition(Position):
    """A position that is known by its number; the rest is looked up when it is asked for.

    Attributes:
        actions: that led here.
        state: number of the state (`SequenceWalk`).
        code: of the network (`nasgym.evaluation.tables.CodeIndex`).
    """

    __slots__ = ("_tree", "actions", "code", "state")

    def __init__(self, tree: PositionTree, actions: tuple[int, ...], state: int, code: int) -> None:
        self._tree = tree
        self.actions = actions
        self.state = state
        self.code = code

    def __getattr__(self, name: str) -> Any:  # reached for what is not set
        position = self._tree.start()
        for action in self.actions:
            position = self._tree.step(position, action)
        return getattr(position, name)


@dataclass(frozen=True)
class _Effect:
    """What an action does to the observation and to the code in one place.

    Attributes:
        rows: one-hot rows that it adds, flat.
        slot: part of the observation that it fills; empty if none.
        filled: what it fills it with.
        added: to the code; `None` for a layer that no network of the table has.
    """

    rows: NDArray[np.float32]
    slot: slice
    filled: NDArray[np.float32]
    added: int | None


class TablePositions(PositionTree):
    """The positions of one space on one task of a table.

    Args:
        walk: of the space; one draft, which is not used.
        codes: finds its networks in the table.
        benchmark: the table.
        evaluator: whose estimator it is.
        task: the task.
    """

    def __init__(
        self, walk: SequenceWalk, codes: CodeLookup, benchmark: TabularBenchmark, evaluator: Evaluator, task: Task
    ) -> None:
        super().__init__(walk.space, task, evaluator.estimator.profile)
        self._walk = walk
        self._start_state = walk.starting_state(walk.shape_number(task.input_shape))
        self._n_actions = len(walk.space.actions)
        self._after = walk.table.after.tolist()
        self._stops = [STOPS[code] for code in walk.table.stops.tolist()]
        self._network = walk.table.answerable.tolist()
        self._codes = codes
        self._columns = TableColumns(benchmark, evaluator.reward)
        self._columns.add(task)
        self._leaves = evaluator.estimator.profile.leaves
        self._seen = np.zeros(len(benchmark.table) + 1, dtype=np.bool_)
        self._effects: dict[int, _Effect] = {}

    def start(self) -> Position:
        """Return the position before the first action."""
        return self._position((), self._start_state, int(self._codes.begin), self._walk.space.observe(Draft()))

    def step(self, position: Position, action: int) -> Position:
        """Return the position after `action`."""
        if not isinstance(position, TablePosition):
            raise AssertionError("a position of another tree")
        move = position.state * self._n_actions + action
        place_move = move % self._codes.weights.size
        effect = self._effects.get(place_move) or self._effect(place_move)
        observation = position.observation
        length = effect.rows.size
        if length:
            observation = np.concatenate((observation[length:], effect.rows))
