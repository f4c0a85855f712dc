"""Positions on a table whose layers follow one another: a step is a few look-ups.

`PositionTree` plans every network that it meets. Here the tables of states of the vector form tell what exists, and
the row of a network is found by its code, so that an unknown network costs no more than one met before. What a
position knows beside that (its rows, its text, its plan) is found in a tree when it is asked for.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures.spaces.space import SearchSpace
from nasgym.envs.positions import Position, PositionTree
from nasgym.envs.vector.answers import Answer, TableColumns
from nasgym.envs.vector.lookup import MISSING, CodeLookup, lookup
from nasgym.envs.vector.sequences import SequenceWalk
from nasgym.envs.vector.walk import STOPS
from nasgym.envs.vector.walks import has_walk, make_walk
from nasgym.evaluation.evaluator import Evaluator, MemoryCache
from nasgym.evaluation.tables import TabularBenchmark
from nasgym.tasks import Budget, Task

_STRAY = -1
"""Code of a network with a layer that no network of the table has."""


class TablePosition(Position):
    """A position that is known by its number; what else a position has is found when it is asked for.

    Attributes:
        actions: that led here.
        state: number of the state (`nasgym.envs.vector.sequences.StateTable`).
        code: of the network (`nasgym.evaluation.tables.CodeIndex`).
    """

    __slots__ = ("_tree", "actions", "code", "state")

    def __init__(self, tree: PositionTree, actions: tuple[int, ...], state: int, code: int) -> None:
        self._tree = tree
        self.actions = actions
        self.state = state
        self.code = code

    def __getattr__(self, name: str) -> Any:  # asked for what was not set
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
        walk: of the space.
        codes: finds its networks in the table.
        benchmark: the table.
        evaluator: whose estimator it is.
        task: the task.
    """

    def __init__(
        self, walk: SequenceWalk, codes: CodeLookup, benchmark: TabularBenchmark, evaluator: Evaluator, task: Task
    ) -> None:
        super().__init__(walk.space, task, evaluator.estimator.profile)
        self._tree = PositionTree(walk.space, task, evaluator.estimator.profile)
        self._walk = walk
        self._first = walk.starting_state(walk.shape_number(task.input_shape))
        self._n_actions = len(walk.space.actions)
        self._after = walk.table.after.tolist()
        self._stops = [STOPS[code] for code in walk.table.stops.tolist()]
        self._masks = list(walk.table.masks)
        self._networks = [walk.is_network(state) for state in range(len(self._stops))]
        self._codes = codes
        self._columns = TableColumns(benchmark, evaluator.reward)
        self._columns.add(task)
        self._seen = np.zeros(len(benchmark.table), dtype=np.bool_)
        self._effects: dict[int, _Effect] = {}
        groups, n_slots = walk.space.observation_groups, len(walk.layout.slots)
        self._slots = np.cumsum((0, *groups[:n_slots])).tolist()
        self._row_width = sum(walk.layout.sizes)

    def start(self) -> Position:
        """Return the position before the first action."""
        position = TablePosition(self._tree, (), self._first, int(self._codes.begin))
        position.stop = None
        position.observation = self.space.observe(self.space.start())
        return position

    def step(self, position: Position, action: int) -> Position:
        """Return the position after `action`; an action that cannot be taken leads to one with a `stop`."""
        if not isinstance(position, TablePosition):
            raise AssertionError("the position is of another tree")
        move = position.state * self._n_actions + action
        place_move = move % self._codes.weights.size
        effect = self._effects.get(place_move)
        if effect is None:
            effect = self._effects[place_move] = self._effect(place_move)
        state = self._after[move]
        code = _STRAY if effect.added is None or position.code == _STRAY else position.code + effect.added
        following = TablePosition(self._tree, (*position.actions, action), state, code)
        following.stop = self._stops[state]
        following.observation = self._observed(position.observation, effect)
        return following

    def mask(self, position: Position, *, last: bool) -> NDArray[np.int8]:
        """Return 1 for the actions that may be worth something, 0 for the masked ones, shape `(n_actions,)`."""
        del last
        if not isinstance(position, TablePosition):
            raise AssertionError("the position is of another tree")
        return self._masks[position.state]

    def answer(self, position: Position) -> Answer | None:
        """Return what the table says of the network at `position`; `None` where there is no network."""
        if not isinstance(position, TablePosition):
            raise AssertionError("the position is of another tree")
        if not self._networks[position.state]:
            return None
        row = MISSING if position.code == _STRAY else self._codes.index.row(position.code)
        if row == MISSING:
            return self._columns.answer(0, MISSING, from_store=False)
        known = self._seen.item(row)
        self._seen[row] = True
        return self._columns.answer(0, row, from_store=known)

    def _observed(self, before: NDArray[np.float32], effect: _Effect) -> NDArray[np.float32]:
        length, slots = effect.rows.size, self._slots[-1]
        if not slots:
            return np.concatenate((before[length:], effect.rows))
        observation = before.copy()
        observation[effect.slot] = effect.filled
        if length:
            observation[slots:-length] = before[slots + length :]
            observation[-length:] = effect.rows
        return observation

    def _effect(self, place_move: int) -> _Effect:
        """Return the effect of an action in a place, found by taking it in a draft that is there."""
        place, action = divmod(place_move, self._n_actions)
        draft = self._walk.places.drafts[place]
        following = draft if draft.ending is not None else self.space.apply(draft, action)
        observation = self.space.observe(following)
        n_rows = int(np.any(self.space.rows(following), axis=1).sum() - np.any(self.space.rows(draft), axis=1).sum())
        chosen = [self._walk.chosen_in(one) for one in (place, int(self._walk.places.after[place, action]))]
        slot = slice(self._slots[chosen[0]], self._slots[chosen[1]])
        length = n_rows * self._row_width if chosen[0] == chosen[1] else 0
        stray = bool(self._codes.unknown[place, action])
        return _Effect(
            rows=observation[observation.size - length :],
            slot=slot,
            filled=observation[slot],
            added=None if stray else int(self._codes.weights[place, action]),
        )


def table_positions(space: SearchSpace, task: Task, evaluator: Evaluator) -> TablePositions | None:
    """Return positions on a table, where its networks follow from look-ups alone: `None` if one must be planned.

    That is the case with a budget, with networks so large that they may exceed the profile's cap, and with graphs. A
    store is to hear of every outcome, which it does not here.
    """
    estimator = evaluator.estimator
    quick = isinstance(evaluator.cache, MemoryCache) and task.budget == Budget() and has_walk(space)
    if not isinstance(estimator, TabularBenchmark) or not quick:
        return None
    walk = make_walk(1, space, estimator.profile)
    if not isinstance(walk, SequenceWalk):
        return None
    walk.shape_number(task.input_shape)
    codes = lookup(walk, estimator.table)
    if not isinstance(codes, CodeLookup) or walk.may_exceed(task.input_shape, task.n_classes):
        return None
    return TablePositions(walk, codes, estimator, evaluator, task)
