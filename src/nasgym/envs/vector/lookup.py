"""From the networks of a walk to rows of a table, thousands at a time, without their canonical ids."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures.actions import SetHeader
from nasgym.architectures.operations import HEADER_OPERATIONS
from nasgym.architectures.spaces.edge import HeaderSpace
from nasgym.architectures.spaces.fixed import FixedSpace
from nasgym.core.errors import TableError
from nasgym.envs.vector.colours import GraphKeys
from nasgym.envs.vector.graphs import GraphArrays, GraphWalk
from nasgym.envs.vector.rows import Flags, Numbers
from nasgym.envs.vector.sequences import SequenceWalk
from nasgym.envs.vector.walk import Walk
from nasgym.evaluation.tables import CodeIndex, KeyIndex, Table

MISSING = -1
"""Row of a network that the table does not hold."""

_CHUNK = 1 << 16


class Lookup(Protocol):
    """Rows of the networks of a walk."""

    def start(self, which: Flags) -> None:
        """Hear that the drafts `which` began anew."""

    def act(self) -> None:
        """Hear that an action was taken in every place."""

    def rows(self, asked: Flags) -> NDArray[np.int64]:
        """Return the row of every network, or `MISSING`; where it is not `asked` for, anything."""


def lookup(walk: Walk, table: Table) -> Lookup | None:
    """Return how to find the networks of `walk` in `table`; `None` where only their canonical ids tell."""
    if isinstance(walk, GraphWalk):
        return GraphLookup(walk, table)
    if not isinstance(walk, SequenceWalk) or not _same_kind(walk, table):
        return None
    try:
        return CodeLookup(walk, table)
    except TableError:  # graphs, or too many choices for a code
        return None


def _same_kind(walk: SequenceWalk, table: Table) -> bool:
    skeleton = walk.space.skeleton if isinstance(walk.space, FixedSpace) else 0
    return skeleton == table.layout.skeleton and bool(table.layout.headers) == isinstance(walk.space, HeaderSpace)


class CodeLookup:
    """Networks whose layers follow one another, by their code, which grows with every choice.

    Attributes:
        index: finds rows by code.
        begin: code of the empty draft.
        weights: what each action adds to the code in each place, shape `(n_places, n_actions)`.
        unknown: where an action adds a layer that no network of the table has, shape `(n_places, n_actions)`.
    """

    def __init__(self, walk: SequenceWalk, table: Table) -> None:
        self._walk = walk
        self.index = table.codes
        self.begin, self.weights, self.unknown = _weights(walk, table)
        self._codes = np.full(walk.n, self.begin)
        self._strange: Flags | None = np.zeros(walk.n, np.bool_) if self.unknown.any() else None
        self._added = np.zeros(0, dtype=np.uint64)
        self._strays = np.zeros(0, dtype=np.bool_)

    def start(self, which: Flags) -> None:
        """Hear that the drafts `which` began anew."""
        np.putmask(self._codes, which, self.begin)
        if self._strange is not None:
            np.putmask(self._strange, which, False)

    def act(self) -> None:
        """Hear that an action was taken in every place."""
        if len(self._added) != self._walk.n_moves:
            repeats = self._walk.n_moves // self.weights.size
            self._added = np.tile(self.weights.reshape(-1), repeats)
            self._strays = np.tile(self.unknown.reshape(-1), repeats)
        self._codes += self._added.take(self._walk.moves)
        if self._strange is not None:
            self._strange |= self._strays.take(self._walk.moves)

    def rows(self, asked: Flags) -> NDArray[np.int64]:
        """Return the row of every network, or `MISSING`."""
        del asked
        rows = self.index.rows(self._codes).astype(np.int64)
        if self._strange is not None:
            rows[self._strange] = MISSING
        return rows


def _weights(walk: SequenceWalk, table: Table) -> tuple[np.uint64, NDArray[np.uint64], Flags]:
    """Return the code of the empty draft, what each action adds in each place, and where that is unknown."""
    index, space = table.codes, walk.space
    shape = walk.places.after.shape
    weights, unknown = np.zeros(shape, dtype=np.uint64), np.zeros(shape, dtype=np.bool_)
    begin = 0
    if isinstance(space, HeaderSpace):
        own = {choice.operation for choice in space.definition.header}
        for choice, operation in enumerate(HEADER_OPERATIONS):
            if operation not in own:
                begin += _header_weight(index, choice, 0)
    for place, actions in enumerate(walk.added()):
        depth = len(walk.places.drafts[place].layers)
        for action, layers in enumerate(actions):
            chosen = space.actions[action]
            total, known = 0, True
            if isinstance(chosen, SetHeader) and walk.places.legal[place, action]:
                total = _header_weight(index, HEADER_OPERATIONS.index(chosen.operation), chosen.value)
                known = total > 0
            for number, layer in enumerate(layers, start=index.first_layer + depth):
                word = index.number(layer) if number < len(index.weights) else 0
                known &= word > 0
                total += word * int(index.weights[number]) if word else 0
            weights[place, action], unknown[place, action] = total, not known
    return np.uint64(begin), weights, unknown


def _header_weight(index: CodeIndex, choice: int, value: int) -> int:
    return index.header_number(choice, value) * int(index.weights[choice])


class GraphLookup:
    """Graphs, by the colours of their nodes; those that did not change since the last step keep their row."""

    def __init__(self, walk: GraphWalk, table: Table) -> None:
        self._walk = walk
        leaves = table.profile.leaves
        self._keys = GraphKeys(walk.words, walk.space.max_layers, leaves)
        keys, rows = _table_keys(table, GraphKeys(table.layout.words, table.words.shape[1], leaves))
        self._index = KeyIndex(keys)
        self._rows = np.append(rows, MISSING)
        self._table = table
        self._by_id: dict[bytes, int] = {}
        self._known = np.full(walk.n, MISSING, dtype=np.int64)
        self._depths = np.full(walk.n, -1, dtype=np.int64)

    def start(self, which: Flags) -> None:
        """Hear that the drafts `which` began anew."""
        np.putmask(self._depths, which, -1)

    def act(self) -> None:
        """Hear that an action was taken in every place."""

    def rows(self, asked: Flags) -> NDArray[np.int64]:
        """Return the row of every network, or `MISSING`."""
        depths = self._walk.graphs.depth
        changed: Numbers = np.flatnonzero(asked & (depths != self._depths))
        if changed.size:
            keys, have = self._keys.of(self._walk.graphs.take(changed))
            self._known[changed] = self._rows.take(self._index.rows(keys))
            self._depths[changed] = depths[changed]
            tied = changed[~have]
            if tied.size:
                self._known[tied] = self._rows_by_id(tied)
        return self._known.copy()

    def _rows_by_id(self, which: Numbers) -> list[int]:
        """Return the rows of the graphs `which`, found by canonical id, each graph once."""
        networks = self._walk.snapshot()
        rows = []
        for number in which.tolist():
            written = networks.window[number].tobytes()
            if written not in self._by_id:
                row = self._table.row(networks.architecture(number))
                self._by_id[written] = MISSING if row is None else row
            rows.append(self._by_id[written])
        return rows


def _table_keys(table: Table, keys: GraphKeys) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the keys of a table's graphs, and the rows they belong to; graphs without a key are left out."""
    found, rows = [], []
    for start in range(0, len(table), _CHUNK):
        words = table.words[start : start + _CHUNK].astype(np.intp)
        if table.inputs is None:
            first = np.broadcast_to(np.arange(words.shape[1]), words.shape)
            second = np.zeros_like(words)
        else:
            first, second = np.moveaxis(table.inputs[start : start + _CHUNK].astype(np.intp), 2, 0)
        depth = (words > 0).sum(axis=1)
        key, have = keys.of(GraphArrays(depth, np.maximum(words - 1, 0), first, second))
        found.append(key[have])
        rows.append(start + np.flatnonzero(have))
    return np.concatenate(found), np.concatenate(rows)
