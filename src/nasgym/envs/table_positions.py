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
from nasgym.envs.identity import Identity, identity
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
        shared: what does not depend on the task.
        task: the task.
    """

    def __init__(self, shared: "TableLookups", task: Task) -> None:
        walk, profile = shared.walk, shared.benchmark.profile
        super().__init__(walk.space, task, profile)
        self._tree = PositionTree(walk.space, task, profile)
        self._shared = shared
        self._number = shared.columns.add(task)
        self._n_actions = len(walk.space.actions)
        self._after = walk.table.after.tolist()
        self._stops = [STOPS[code] for code in walk.table.stops.tolist()]
        self._masks = list(walk.table.masks)
        self._networks = [walk.is_network(state) for state in range(len(self._stops))]
        self._seen = np.zeros(len(shared.benchmark.table), dtype=np.bool_)
        self._first = TablePosition(
            self._tree, (), walk.starting_state(walk.shape_number(task.input_shape)), int(shared.codes.begin)
        )
        self._first.stop = None
        self._first.observation = walk.space.observe(walk.space.start())

    def start(self) -> Position:
        """Return the position before the first action."""
        return self._first

    def step(self, position: Position, action: int) -> Position:
        """Return the position after `action`; an action that cannot be taken leads to one with a `stop`."""
        if not isinstance(position, TablePosition):
            raise AssertionError("the position is of another tree")
        move = position.state * self._n_actions + action
        effect = self._shared.effect(move)
        state = self._after[move]
        code = _STRAY if effect.added is None or position.code == _STRAY else position.code + effect.added
        following = TablePosition(self._tree, (*position.actions, action), state, code)
        following.stop = self._stops[state]
        following.observation = self._shared.observed(position.observation, effect)
        return following

    def mask(self, position: Position, *, last: bool) -> NDArray[np.int8]:
        """Return 1 for the actions that may be worth something, 0 for the masked ones, shape `(n_actions,)`."""
        del last
        if not isinstance(position, TablePosition):
            raise AssertionError("the position is of another tree")
        mask: NDArray[np.int8] = self._masks[position.state]
        return mask

    def answer(self, position: Position) -> Answer | None:
        """Return what the table says of the network at `position`; `None` where there is no network."""
        if not isinstance(position, TablePosition):
            raise AssertionError("the position is of another tree")
        if not self._networks[position.state]:
            return None
        row = MISSING if position.code == _STRAY else self._shared.codes.index.row(position.code)
        known = row != MISSING and self._seen.item(row)
        if row != MISSING:
            self._seen[row] = True
        return self._shared.columns.answer(self._number, row, from_store=known)


class TableLookups:
    """What the positions of one space on all tasks of a table share.

    Args:
        walk: of the space.
        codes: finds its networks in the table.
        benchmark: the table.
        evaluator: whose estimator it is.

    Attributes:
        columns: what the table says, by task.
    """

    def __init__(
        self, walk: SequenceWalk, codes: CodeLookup, benchmark: TabularBenchmark, evaluator: Evaluator
    ) -> None:
        self.walk = walk
        self.codes = codes
        self.benchmark = benchmark
        self.columns = TableColumns(benchmark, evaluator.reward)
        self._positions: dict[Identity, TablePositions] = {}
        self._effects: dict[int, _Effect] = {}
        self._n_moves = codes.weights.size
        groups, n_slots = walk.space.observation_groups, len(walk.layout.slots)
        self._slots = np.cumsum((0, *groups[:n_slots])).tolist()
        self._row_width = sum(walk.layout.sizes)

    def on(self, task: Task) -> TablePositions | None:
        """Return the positions on `task`; `None` if its networks must be planned.

        That is the case with a budget, and where networks may have more parameters than their profile builds.
        """
        self.walk.shape_number(task.input_shape)
        if task.budget != Budget() or self.walk.may_exceed(task.input_shape, task.n_classes):
            return None
        key = identity(task)
        if key not in self._positions:
            self._positions[key] = TablePositions(self, task)
        return self._positions[key]

    def effect(self, move: int) -> _Effect:
        """Return the effect of an action in a state."""
        place_move = move % self._n_moves
        effect = self._effects.get(place_move)
        if effect is None:
            effect = self._effects[place_move] = self._effect(place_move)
        return effect

    def observed(self, before: NDArray[np.float32], effect: _Effect) -> NDArray[np.float32]:
        """Return the observation after an action, as an array of its own."""
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
        space, places = self.walk.space, self.walk.places
        place, action = divmod(place_move, len(space.actions))
        draft = places.drafts[place]
        following = draft if draft.ending is not None else space.apply(draft, action)
        observation = space.observe(following)
        n_rows = int(np.any(space.rows(following), axis=1).sum() - np.any(space.rows(draft), axis=1).sum())
        chosen = [self.walk.chosen_in(one) for one in (place, int(places.after[place, action]))]
        slot = slice(self._slots[chosen[0]], self._slots[chosen[1]])
        length = n_rows * self._row_width if chosen[0] == chosen[1] else 0
        stray = bool(self.codes.unknown[place, action])
        return _Effect(
            rows=observation[observation.size - length :],
            slot=slot,
            filled=observation[slot],
            added=None if stray else int(self.codes.weights[place, action]),
        )


def table_lookups(space: SearchSpace, evaluator: Evaluator) -> TableLookups | None:
    """Return how to find the networks of `space` in the table that `evaluator` asks; `None` if look-ups cannot.

    That is the case without a table, with graphs, and with a store, which is to hear of every outcome.
    """
    estimator = evaluator.estimator
    kept = not isinstance(evaluator.cache, MemoryCache)
    if not isinstance(estimator, TabularBenchmark) or kept or not has_walk(space):
        return None
    walk = make_walk(1, space, estimator.profile)
    codes = lookup(walk, estimator.table) if isinstance(walk, SequenceWalk) else None
    if not isinstance(walk, SequenceWalk) or not isinstance(codes, CodeLookup):
        return None
    return TableLookups(walk, codes, estimator, evaluator)
