"""Spaces whose layers choose their predecessors (multi-branch, explicit), as arrays of layers and pointers.

Whether a layer can be added depends on the height and width of its predecessor alone: both are one small number, the
*size*, and a table tells the size after each operation.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures import Layer, LeafMerge, Operation
from nasgym.architectures.actions import Action, AddLayer, ShiftPointer, Terminate
from nasgym.architectures.spaces.explicit import ExplicitSpace
from nasgym.architectures.spaces.multi_branch import MultiBranchSpace
from nasgym.core.errors import PlanError
from nasgym.envs.vector.rows import Flags, Layout, Numbers
from nasgym.envs.vector.walk import FULL, ILLEGAL, INVALID, TERMINAL, Walk
from nasgym.networks.plan import Trunk
from nasgym.networks.profiles import DenseHead, NetworkProfile

ADD, MERGE, SHIFT, END = range(4)
"""What an action does: add a layer of one input, or of two; move a pointer; terminate."""

GONE = 0
"""Size of what cannot exist."""


class Sizes:
    """Heights and widths by number, closed under the operations of a space.

    Args:
        words: the operations of one input.
        profile: how architectures become networks.
    """

    def __init__(self, words: tuple[AddLayer, ...], profile: NetworkProfile) -> None:
        self._words = words
        self._profile = profile
        self._numbers: dict[tuple[int, int], int] = {(0, 0): GONE}
        self.after = np.zeros((1, len(words)), dtype=np.uint16)
        self.merged = np.zeros((1, 1), dtype=np.uint16)

    def number(self, height: int, width: int) -> int:
        """Return the number of a size, everything that can become of it included."""
        if (height, width) not in self._numbers:
            self._number((height, width))
            self._close()
        return self._numbers[height, width]

    def _number(self, size: tuple[int, int]) -> int:
        return self._numbers.setdefault(size, len(self._numbers))

    def _close(self) -> None:
        after: list[list[int]] = []
        merged: dict[tuple[int, int], int] = {}
        while len(after) < len(self._numbers):
            number, size = len(after), list(self._numbers)[len(after)]
            after.append([self._number(self._after(size, word)) for word in self._words])
            for other, (height, width) in enumerate(list(self._numbers)[: number + 1]):
                larger = (max(height, size[0]), max(width, size[1])) if number and other else (0, 0)
                merged[number, other] = merged[other, number] = self._number(larger)
        self.after = np.array(after, dtype=np.uint16)
        self.merged = np.zeros((len(after), len(after)), dtype=np.uint16)
        for pair, number in merged.items():
            self.merged[pair] = number

    def _after(self, size: tuple[int, int], word: AddLayer) -> tuple[int, int]:
        if size == (0, 0):
            return size
        try:
            trunk = Trunk.start((*size, 1), self._profile).add(Layer(word.operation, word.kernel, (0,)))
        except PlanError:
            return (0, 0)
        _, height, width = trunk.nodes[-1].shape
        return height, width


@dataclass(frozen=True)
class Moves:
    """What each action does, as arrays over actions.

    Attributes:
        kind: `ADD`, `MERGE`, `SHIFT` or `END`.
        word: number of the operation: one-input words, then merges; 0 for the rest.
        pointer: which pointer is shifted.
        offset: by how much.
        inputs: predecessors, shape `(n_actions, 2)`, where actions name them.
        needed: layers that must be in place, where actions name their predecessors.
    """

    kind: NDArray[np.int8]
    word: NDArray[np.intp]
    pointer: NDArray[np.intp]
    offset: Numbers
    inputs: Numbers
    needed: Numbers

    @classmethod
    def of(cls, actions: tuple[Action, ...], words: tuple[AddLayer, ...], never: int) -> "Moves":
        """Return what `actions` do; `words` are their operations and `never` more layers than there can be."""
        numbers = {(word.operation, word.kernel): number for number, word in enumerate(words)}
        rows = []
        for action in actions:
            match action:
                case AddLayer(operation, kernel, inputs):
                    first, second = (*(inputs or (0, 0)), 0)[:2]
                    needed = max(first, second) if inputs else 0
                    if inputs and operation.arity == 2 and 0 in inputs:
                        needed = never
                    kind = MERGE if operation.arity == 2 else ADD
                    rows.append((kind, numbers[operation, kernel], 0, 0, first, second, needed))
                case ShiftPointer(pointer, offset):
                    rows.append((SHIFT, 0, pointer - 1, offset, 0, 0, 0))
                case Terminate():
                    rows.append((END, 0, 0, 0, 0, 0, 0))
                case _:
                    raise AssertionError(f"{action} is no action on a graph")
        table = np.array(rows)
        return cls(
            table[:, 0].astype(np.int8), table[:, 1], table[:, 2], table[:, 3], table[:, 4:6].copy(), table[:, 6]
        )


@dataclass
class GraphArrays:
    """`n` graphs of at most `d` layers; layer `i` is in column `i - 1`, rubbish beyond `depth`.

    Attributes:
        depth: layers in place, shape `(n,)`.
        words: number of each operation, shape `(n, d)`.
        first: first predecessor, shape `(n, d)`.
        second: second predecessor, 0 where there is none, shape `(n, d)`.
    """

    depth: Numbers
    words: NDArray[np.intp]
    first: NDArray[np.intp]
    second: NDArray[np.intp]

    @classmethod
    def empty(cls, n: int, d: int) -> "GraphArrays":
        """Return `n` graphs without layers."""
        return cls(np.zeros(n, np.int64), *(np.zeros((n, d), np.intp) for _ in range(3)))

    def take(self, which: Numbers) -> "GraphArrays":
        """Return some of the graphs."""
        return GraphArrays(self.depth[which], self.words[which], self.first[which], self.second[which])


@dataclass
class _Cost:
    """Upper bounds of what the networks have, without their heads.

    Attributes:
        channels: of each node, the image being node 0, shape `(n, d + 1)`.
        widest: most channels of any node, shape `(n,)`.
        parameters: shape `(n,)`.
    """

    channels: NDArray[np.float64]
    widest: NDArray[np.float64]
    parameters: NDArray[np.float64]


class GraphWalk(Walk):
    """Drafts of graphs.

    Args:
        n: drafts.
        space: multi-branch or explicit.
        profile: how architectures become networks.
    """

    def __init__(self, n: int, space: MultiBranchSpace | ExplicitSpace, profile: NetworkProfile) -> None:
        definition = space.definition
        self.words = (*definition.one_input, *definition.two_input)
        self._n_one = len(definition.one_input)
        self._side = space.max_layers + 1
        super().__init__(n, space, _layout(space, self.words))
        self._moves = Moves.of(space.actions, self.words, never=space.max_layers)
        self._names_inputs = isinstance(space, ExplicitSpace)
        self.shifts = self._moves.kind == SHIFT
        self._sizes = Sizes(definition.one_input, profile)
        self._shapes: list[tuple[int, int, int]] = []
        self._profile = profile
        self._depth_limit = space.max_layers
        self.graphs = GraphArrays.empty(n, space.max_layers)
        self._places = np.arange(n)
        self._offsets = np.zeros((n, 2), dtype=np.int64)
        self._stops = np.zeros(n, dtype=np.int8)
        self._node_sizes = np.zeros((n, self._side), dtype=np.uint16)
        self._cost = _Cost(np.zeros((n, self._side)), np.zeros(n), np.zeros(n))
        self._weighs = np.array([word.operation.has_weights for word in self.words])
        self._areas = np.array([word.kernel**2 for word in self.words])
        self._concatenates = np.array([word.operation is Operation.CONCATENATION for word in self.words])

    def shape_number(self, input_shape: tuple[int, int, int]) -> int:
        """Return the number by which `start` knows images of this height, width and channels."""
        if input_shape not in self._shapes:
            self._sizes.number(*input_shape[:2])
            self._shapes.append(input_shape)
        return self._shapes.index(input_shape)

    def start(self, which: Flags, shapes: Numbers) -> None:
        """Begin anew with the empty draft where `which` says so."""
        sizes = np.array([self._sizes.number(*shape[:2]) for shape in self._shapes], dtype=np.uint16)
        channels = np.array([shape[2] for shape in self._shapes], dtype=np.float64)
        self.graphs.depth[which] = 0
        self._offsets[which] = 0
        self._stops[which] = 0
        self._node_sizes[which, 0] = sizes.take(shapes)[which]
        self._cost.channels[which, 0] = self._cost.widest[which] = channels.take(shapes)[which]
        self._cost.parameters[which] = 0.0

    def act(self, actions: Numbers) -> NDArray[np.int8]:
        """Take one action in every place; return the stop codes."""
        moves, depth = self._moves, self.graphs.depth
        kind = moves.kind.take(actions)
        first, second, legal = self._inputs(actions, kind)
        going = self._stops == 0
        self._stops[going & ~legal] = ILLEGAL
        going &= legal
        ends = np.flatnonzero(going & (kind == END))
        self._stops[ends] = TERMINAL
        self._rows.write(depth[ends], len(self.layout.nsc) - 1, which=ends)
        if not self._names_inputs:
            shifted = np.flatnonzero(going & (kind == SHIFT))
            self._offsets[shifted, moves.pointer.take(actions[shifted])] += moves.offset.take(actions[shifted])
        added = np.flatnonzero(going & (kind <= MERGE))
        if added.size:
            word = moves.word.take(actions[added])
            self._add(added, word, first[added], np.where(word < self._n_one, 0, second[added]))
            full = added[depth[added] == self._depth_limit]
            self._stops[full] = FULL
            gone = added[self._node_sizes[added, depth[added]] == GONE]
            self._stops[gone] = INVALID
        return self._stops.copy()

    def _inputs(self, actions: Numbers, kind: NDArray[np.int8]) -> tuple[Numbers, Numbers, Flags]:
        """Return the predecessors that layers would have, and whether each action is legal."""
        moves, depth = self._moves, self.graphs.depth
        if self._names_inputs:
            inputs = moves.inputs.take(actions, axis=0)
            return inputs[:, 0], inputs[:, 1], depth >= moves.needed.take(actions)
        first, second = depth + self._offsets[:, 0], depth + self._offsets[:, 1]
        moved = self._offsets[self._places, moves.pointer.take(actions)] + moves.offset.take(actions)
        merges_image = (kind == MERGE) & ((first == 0) | (second == 0))
        leaves_range = (kind == SHIFT) & ((moved > 0) | (moved < -depth))
        return first, second, ~(merges_image | leaves_range)

    def _add(self, which: Numbers, word: Numbers, first: Numbers, second: Numbers) -> None:
        """Add a layer to the graphs `which`."""
        graphs = self.graphs
        place = graphs.depth[which]
        graphs.words[which, place] = word
        graphs.first[which, place] = first
        graphs.second[which, place] = second
        self._rows.write(place, 1 + (word * self._side + first) * self._side + second, which=which)
        graphs.depth[which] = place + 1
        sizes = self._node_sizes
        source = sizes[which, first]
        one = self._sizes.after[source, np.minimum(word, self._n_one - 1)]
        merge = word >= self._n_one
        sizes[which, place + 1] = np.where(merge, self._sizes.merged[source, sizes[which, second]], one)
        self._charge(which, word, first, second)

    def _charge(self, which: Numbers, word: Numbers, first: Numbers, second: Numbers) -> None:
        """Raise the upper bounds by a layer: every convolution as wide as its profile ever makes one."""
        channels, profile = self._cost.channels, self._profile
        weighs, areas = self._weighs.take(word), self._areas.take(word)
        sources = channels[which, first]
        others = np.where(word < self._n_one, 0, channels[which, second])
        larger = np.maximum(sources, others)
        joined = 2 * larger if profile.concatenation_pads_channels else sources + others
        width = max(profile.width_cap, profile.base_width)
        channels_of_it = np.where(weighs, width, np.where(self._concatenates.take(word), joined, larger))
        channels[which, self.graphs.depth[which]] = channels_of_it
        self._cost.widest[which] = np.maximum(self._cost.widest[which], channels_of_it)
        self._cost.parameters[which] += np.where(weighs, width * (sources * areas + 3), 0)

    @property
    def answerable(self) -> Flags:
        """Everywhere: every draft is a network, and there are no header choices."""
        return np.ones(self.n, dtype=np.bool_)

    @property
    def pointers(self) -> Numbers:
        """Offsets of the two pointers, shape `(n, 2)`."""
        return self._offsets.copy()

    @property
    def counts(self) -> Numbers:
        """Number of rows in place, shape `(n,)`."""
        counts: Numbers = self.graphs.depth + (self._stops == TERMINAL)
        return counts

    @property
    def chosen(self) -> Numbers:
        """Zeros: there are no slots here."""
        return np.zeros(self.n, dtype=np.int64)

    def mask(self) -> NDArray[np.int8]:
        """Return 1 for the legal actions that lead to a network that exists, shape `(n, n_actions)`."""
        mask = self._explicit_mask() if self._names_inputs else self._pointer_mask()
        mask[self._stops != 0] = 0
        return mask

    def _pointer_mask(self) -> NDArray[np.int8]:
        moves, depth = self._moves, self.graphs.depth
        mask = np.ones((self.n, len(moves.kind)), dtype=np.int8)
        first, second = depth + self._offsets[:, 0], depth + self._offsets[:, 1]
        sources = self._node_sizes[self._places, first]
        mask[:, moves.kind == ADD] = (self._sizes.after != GONE).take(sources, axis=0)
        mask[:, moves.kind == MERGE] = ((first > 0) & (second > 0))[:, np.newaxis]
        for pointer, newest in ((0, first), (1, second)):
            movable = self._offsets[:, pointer] < 0, newest > 0
            for offset, possible in zip((1, -1), movable, strict=True):
                shift = (moves.kind == SHIFT) & (moves.pointer == pointer) & (moves.offset == offset)
                mask[:, shift] = possible[:, np.newaxis]
        return mask

    def _explicit_mask(self) -> NDArray[np.int8]:
        moves = self._moves
        legal = moves.needed <= np.arange(self._side)[:, np.newaxis]
        mask = legal.astype(np.int8).take(self.graphs.depth, axis=0)
        ones = moves.kind == ADD
        exists = (self._sizes.after != GONE)[self._node_sizes[:, moves.inputs[ones, 0]], moves.word[ones]]
        mask[:, ones] &= exists
        return mask

    def finishing(self) -> Flags:
        """Return which actions end an episode by themselves if they are taken now."""
        kind = self._moves.kind
        last = self.graphs.depth == self._depth_limit - 1
        flags: Flags = (kind == END) | (last[:, np.newaxis] & (kind <= MERGE))
        return flags

    def may_exceed(self, input_shape: tuple[int, int, int], n_classes: int) -> bool:
        """Return `False`: `exceeding` tells of every network."""
        del input_shape, n_classes
        return False

    def exceeding(self, n_classes: Numbers) -> Flags | None:
        """Return which networks, or which with one more layer, might have more parameters than their profile builds.

        A generous estimate: every convolution is as wide as any, every leaf as wide as the widest.
        """
        profile, depth, widest = self._profile, self.graphs.depth + 1, self._cost.widest
        layers = self._cost.parameters + max(profile.width_cap, profile.base_width) * (widest * self._areas.max() + 3)
        doubles = profile.leaves is LeafMerge.PAIRWISE and profile.concatenation_pads_channels
        features = 2 * widest * (2.0**depth if doubles else depth)
        outputs, area = [n_classes.astype(np.float64)], 2
        if isinstance(profile.head, DenseHead):
            outputs = [np.full(self.n, float(unit)) for unit in profile.head.units] + outputs
            area = max(shape[0] * shape[1] for shape in self._shapes)
        head = 2 * features
        for inputs, width in zip([features * area, *outputs[:-1]], outputs, strict=True):
            head = head + (inputs + 1) * width
        exceeding: Flags = layers + head > profile.max_parameters
        return exceeding


def _layout(space: MultiBranchSpace | ExplicitSpace, words: tuple[AddLayer, ...]) -> Layout:
    """Return the layout of row code `1 + (word · (d+1) + pred1) · (d+1) + pred2`; the last code is terminal's."""
    side = space.max_layers + 1
    pairs = [(first, second) for first in range(side) for second in range(side)]
    layers = [(0, int(word.operation), word.kernel, *pair) for word in words for pair in pairs]
    rows = np.array([(0, 0, 0, 0, 0), *layers, (0, int(Operation.TERMINAL), 0, 0, 0)], dtype=np.int64)
    sizes = space.observation_groups[: len(space.observation_groups) // space.max_layers]
    return Layout(
        nsc=rows,
        columns=rows[:, 1:].astype(np.uint8),
        sizes=sizes,
        n_rows=space.max_layers,
        slots=np.zeros((0, len(rows)), dtype=np.uint8),
        slot_sizes=(),
    )
