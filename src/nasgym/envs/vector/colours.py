"""Exact keys of graphs, thousands at a time: which row of a table a graph is, without its canonical id.

Two graphs are the same network if, with the final concatenation written out, one is the other with its layers
renumbered (`nasgym.architectures.canonical`). Every node gets a colour that says what it computes from, all the way
down to the image, and what is computed from it, all the way up to the output: two numbers of 64 bits that one sweep in
each direction finds. Where all nodes of a graph differ in colour, the colours of the nodes together with those of their
inputs *are* the graph: graphs with the same set of them are the same network, and the sum of their hashes is the key.
Where two nodes tie (two equal branches that are added) there is no key, and the canonical id has to be asked.

A key is wrong only where 64-bit hashes collide, as canonical ids are.
"""

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures import LeafMerge, Operation
from nasgym.architectures.actions import AddLayer
from nasgym.architectures.operations import layer_token
from nasgym.core.randomness import entropy
from nasgym.envs.vector.graphs import GraphArrays
from nasgym.envs.vector.rows import Flags

Hashes = NDArray[np.uint64]

_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)  # splitmix64 (Steele et al., OOPSLA 2014)
_SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)


def _constant(*names: str | int) -> np.uint64:
    return np.uint64(entropy(0, "graph colours", *names) & 0xFFFFFFFFFFFFFFFF | 1)


class GraphKeys:
    """Keys of graphs whose layers are given by number.

    Args:
        words: the operations by number.
        depth: largest number of layers.
        leaves: how unused layers are concatenated.
    """

    def __init__(self, words: tuple[AddLayer, ...], depth: int, leaves: LeafMerge) -> None:
        tokens = [layer_token(word.operation, word.kernel, word.residual) for word in words]
        self.labels = np.array([_constant("label", token) for token in tokens], dtype=np.uint64)
        self.adds = np.array([word.operation is Operation.ADDITION for word in words])
        self.concat = _constant("label", Operation.CONCATENATION.token)
        self.slots = np.array([_constant("slot", slot) for slot in range(max(2, depth))], dtype=np.uint64)
        self.either = _constant("slot", "either")
        self.image, self.output, self.up = (_constant(name) for name in ("image", "output", "up"))
        self.together = leaves is LeafMerge.TOGETHER

    def of(self, graphs: GraphArrays) -> tuple[Hashes, Flags]:
        """Return the key of every graph, and whether it has one, both of shape `(m,)`."""
        order = np.argsort(-graphs.depth, kind="stable")
        keys, flags = np.empty(len(order), dtype=np.uint64), np.empty(len(order), dtype=np.bool_)
        with np.errstate(over="ignore"):
            keys[order], flags[order] = _Sweep(self, graphs.take(order)).keys_and_flags()
        return keys, flags

    def slot_factors(self, words: NDArray[np.intp]) -> tuple[Hashes, Hashes]:
        """Return the factors of the first and second input of each operation; equal where their order is no matter."""
        adds = self.adds.take(words)
        return np.where(adds, self.either, self.slots[0]), np.where(adds, self.either, self.slots[1])


class _Sweep:
    """The colours of `m` graphs; node 0 is the image, nodes 1 to d the layers, node d + 1 nothing at all.

    Arrays have nodes first and the deepest graph first, so that what is done to node `i` of the graphs that have one is
    done to neighbouring numbers.
    """

    def __init__(self, keys: GraphKeys, graphs: GraphArrays) -> None:
        self.keys = keys
        m, self.d = graphs.words.shape
        rows = np.arange(m)
        words = np.ascontiguousarray(graphs.words.T)
        self.inside = np.arange(self.d)[:, np.newaxis] < graphs.depth
        nothing = self.d + 1
        first = np.where(self.inside, graphs.first.T, nothing) * m + rows
        second = np.where(self.inside & (graphs.second.T > 0), graphs.second.T, nothing) * m + rows
        self.inputs = (first, second)
        self.counts = self.inside.sum(axis=1).tolist()
        self.merging = [np.flatnonzero(graphs.second[:count, place]) for place, count in enumerate(self.counts)]
        self.factors = keys.slot_factors(words)
        self.labels = keys.labels.take(words)
        used = np.zeros((self.d + 2, m), dtype=np.bool_)
        for sources in self.inputs:
            used.reshape(-1)[sources] = True
        self.leaves = self.inside & ~used[1 : self.d + 1]
        self.n_leaves = self.leaves.sum(axis=0)

    def keys_and_flags(self) -> tuple[Hashes, Flags]:
        """Return the key of every graph, and whether it has one."""
        down = self._values()
        for place, count in enumerate(self.counts):
            down[place + 1, :count] = _mixed(self.labels[place, :count] + self._joined(down, place, count))
        joints = _Together(self, down) if self.keys.together else _Pairwise(self, down)
        colours = self._colours(down, joints)
        total = joints.edges(colours[1 : self.d + 1])
        for place, count in enumerate(self.counts):
            total[:count] += _mixed(colours[place + 1, :count] + self._joined(colours, place, count))
        return _mixed(total + self.keys.output), self._differ(colours[1 : self.d + 1], joints.colours)

    def _colours(self, down: Hashes, joints: "_Together | _Pairwise") -> Hashes:
        """Return what every node computes from and what is computed from it, shape `(d + 2, m)`."""
        up = np.zeros_like(down)
        joints.hand_down(up[1 : self.d + 1])
        colours = self._values()
        handed = up.reshape(-1)
        for place, count in reversed(list(enumerate(self.counts))):
            colour = colours[place + 1, :count]
            colour[:] = _mixed(down[place + 1, :count] + self.keys.up * up[place + 1, :count])
            handed[self.inputs[0][place, :count]] += _mixed(colour * self.factors[0][place, :count])
            merging = self.merging[place]
            shares = _mixed(colour[merging] * self.factors[1][place, merging])
            handed[self.inputs[1][place, merging]] += shares
        return colours

    def _values(self) -> Hashes:
        """Return room for a value of every node: that of the image is in place, and nothing is 0."""
        values = np.zeros((self.d + 2, len(self.n_leaves)), dtype=np.uint64)
        values[0] = self.keys.image
        return values

    def _joined(self, values: Hashes, place: int, count: int) -> Hashes:
        """Return the values of the inputs of layer `place + 1` of the first `count` graphs, joined."""
        flat, merging = values.reshape(-1), self.merging[place]
        joined: Hashes = flat.take(self.inputs[0][place, :count]) * self.factors[0][place, :count]
        joined[merging] += flat.take(self.inputs[1][place, merging]) * self.factors[1][place, merging]
        return joined

    def _differ(self, colours: Hashes, joints: Hashes) -> Flags:
        """Return whether all nodes of a graph have different colours."""
        fillers = np.arange(self.d, dtype=np.uint64)[:, np.newaxis]
        ordered = np.concatenate([np.where(self.inside, colours, fillers), joints]).T.copy()
        ordered.sort(axis=1)
        differ: Flags = (ordered[:, 1:] != ordered[:, :-1]).all(axis=1)
        return differ


class _Together:
    """One concatenation of all leaves, where there are several."""

    def __init__(self, sweep: _Sweep, down: Hashes) -> None:
        keys = sweep.keys
        self.leaves = sweep.leaves
        self.several = sweep.n_leaves > 1
        ranks = np.maximum(np.cumsum(sweep.leaves, axis=0) - 1, 0)
        self.shares = keys.slots.take(ranks) * sweep.leaves
        joined = (down[1:-1] * self.shares).sum(axis=0, dtype=np.uint64)
        self.output = keys.output
        colours = _mixed(_mixed(keys.concat + joined) + keys.up * keys.output)
        self.colours = np.where(self.several, colours, np.uint64(1 << 32))[np.newaxis]

    def hand_down(self, up: Hashes) -> None:
        """Tell the leaves what is computed from them."""
        shares = np.where(self.several, _mixed(self.colours * self.shares), self.output)
        up += shares * self.leaves

    def edges(self, colours: Hashes) -> Hashes:
        """Return a hash of the concatenation and the colours of its inputs, shape `(m,)`."""
        joined = (colours * self.shares).sum(axis=0, dtype=np.uint64)
        edges: Hashes = _mixed(self.colours[0] + joined) * self.several
        return edges


class _Pairwise:
    """Concatenations of two, from the first leaf on: `((l1, l2), l3), …`."""

    def __init__(self, sweep: _Sweep, down: Hashes) -> None:
        self.keys = keys = sweep.keys
        self.columns = np.arange(len(sweep.n_leaves))
        self.n_leaves = sweep.n_leaves
        self.n_ranks = max(1, int(self.n_leaves.max(initial=1)))
        self.order = np.argsort(~sweep.leaves, axis=0, kind="stable")[: self.n_ranks]
        leaves = down[1:-1][self.order, self.columns]
        self.joints = [leaves[0]]
        for rank in range(1, self.n_ranks):
            joined = self.joints[-1] * keys.slots[0] + leaves[rank] * keys.slots[1]
            self.joints.append(_mixed(keys.concat + joined))
        fillers = np.uint64(1 << 32) + np.arange(self.n_ranks - 1, dtype=np.uint64)
        self.colours = np.repeat(fillers[:, np.newaxis], len(self.columns), axis=1)

    def hand_down(self, up: Hashes) -> None:
        """Tell the leaves what is computed from them."""
        keys = self.keys
        from_above = np.full(len(self.columns), keys.output)
        for rank in reversed(range(1, self.n_ranks)):
            there = self.columns[rank < self.n_leaves]
            colours = _mixed(self.joints[rank][there] + keys.up * from_above[there])
            self.colours[rank - 1, there] = colours
            up[self.order[rank, there], there] += _mixed(colours * keys.slots[1])
            from_above[there] = _mixed(colours * keys.slots[0])
        there = self.columns[self.n_leaves > 0]
        up[self.order[0, there], there] += from_above[there]

    def edges(self, colours: Hashes) -> Hashes:
        """Return the sum of a hash of each concatenation and the colours of its inputs, shape `(m,)`."""
        keys = self.keys
        leaves = colours[self.order, self.columns]
        total = np.zeros(len(self.columns), dtype=np.uint64)
        below = leaves[0]
        for rank in range(1, self.n_ranks):
            joint = self.colours[rank - 1]
            hashed = _mixed(joint + below * keys.slots[0] + leaves[rank] * keys.slots[1])
            total += hashed * (rank < self.n_leaves)
            below = joint
        return total


def _mixed(values: Hashes) -> Hashes:
    """Return well-mixed bits of each value."""
    mixed = values >> _SHIFTS[0]
    for multiplier, shift in zip((_MIX_1, _MIX_2), _SHIFTS[1:], strict=True):
        mixed ^= values
        mixed *= multiplier
        values = mixed
        mixed = values >> shift
    mixed ^= values
    return mixed
