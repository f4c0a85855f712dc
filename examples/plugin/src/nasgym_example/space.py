"""The search space `vgg-blocks`: plain blocks of convolutions, each closed by a pooling."""

from collections import Counter
from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures import Architecture, Layer, LeafMerge, Operation
from nasgym.architectures.actions import AddLayer, AddStage, Terminate
from nasgym.architectures.nsc import layer_row, pad_rows, terminal_row
from nasgym.architectures.spaces import Draft, Ending, SearchSpace
from nasgym.core.errors import ArchitectureError

MAX_BLOCKS = 4
BLOCKS = tuple(
    AddStage((*[AddLayer(Operation.CONVOLUTION, 3)] * convolutions, AddLayer(Operation.MAX_POOLING, 2)))
    for convolutions in (1, 2, 3)
)
"""One, two or three 3 × 3 convolutions; a pooling then halves the image."""

Blocks = tuple[int, ...]
"""A network as the action of each of its blocks."""


class VggBlocksSpace(SearchSpace):
    """Chains of up to four blocks (Simonyan and Zisserman, arXiv 1409.1556): 1 + 3 + 9 + 27 + 81 = 121 networks.

    Actions: the three `BLOCKS`, then terminal; all of them always legal, and the fourth block ends a draft.
    Observation: one group of five for each block, one-hot over "not there", the three blocks and "terminal".
    """

    def __init__(self) -> None:
        self.name = self.kind = "vgg-blocks"
        self.actions = (*BLOCKS, Terminate())
        self.max_layers = self.n_rows = MAX_BLOCKS * max(len(block.layers) for block in BLOCKS)
        self.observation_length = MAX_BLOCKS * (1 + len(self.actions))
        self.default_max_steps = MAX_BLOCKS
        self._blocks = {_layers(blocks): blocks for blocks in _all_blocks()}

    def apply(self, draft: Draft, action: int) -> Draft:
        """Return the draft with one more block, or ended by terminal."""
        if isinstance(self._chosen(draft, action), Terminate):
            return Draft(draft.layers, ending=Ending.TERMINAL)
        blocks = (*self._blocks[draft.layers], action)
        return Draft(_layers(blocks), ending=Ending.FULL if len(blocks) == MAX_BLOCKS else None)

    def legal(self, draft: Draft) -> NDArray[np.bool_]:
        """Return which actions can be taken: all of them, until the end."""
        return np.full(len(self.actions), draft.ending is None)

    def architecture(self, draft: Draft) -> Architecture:
        """Return the blocks in place as an architecture."""
        return Architecture(draft.layers)

    def rows(self, draft: Draft) -> NDArray[np.int64]:
        """Return one row for each layer, and one for a terminal action, empty rows first."""
        rows = [layer_row(index, layer) for index, layer in enumerate(draft.layers, start=1)]
        if draft.ending is Ending.TERMINAL:
            rows.append(terminal_row(len(rows) + 1))
        return pad_rows(rows, self.n_rows)

    def observe(self, draft: Draft) -> NDArray[np.float32]:
        """Return what stands at each of the four places, one-hot."""
        chosen = [1 + block for block in self._blocks[draft.layers]]
        if draft.ending is Ending.TERMINAL:
            chosen.append(len(self.actions))
        chosen += [0] * (MAX_BLOCKS - len(chosen))
        observation = np.zeros((MAX_BLOCKS, 1 + len(self.actions)), dtype=np.float32)
        observation[np.arange(MAX_BLOCKS), chosen] = 1.0
        return observation.ravel()

    def path(self, architecture: Architecture) -> Blocks:
        """Return the blocks of `architecture`, and terminal where there are fewer than four."""
        if architecture not in map(Architecture, self._blocks):
            raise ArchitectureError(
                f"'{architecture}' is not in space {self.name!r}, which holds up to {MAX_BLOCKS} blocks of "
                f"{', '.join(repr(self.describe(block)) for block in range(len(BLOCKS)))}."
            )
        blocks = self._blocks[architecture.layers]
        return blocks if len(blocks) == MAX_BLOCKS else (*blocks, len(BLOCKS))

    def count_by_depth(self, leaves: LeafMerge) -> list[int | None]:  # noqa: ARG002 - chains have one leaf
        """Return how many of the 121 networks have 0 to 16 layers; no two of them are the same network."""
        depths = Counter(map(len, self._blocks))
        return [depths[depth] for depth in range(self.max_layers + 1)]


def _all_blocks() -> Iterator[Blocks]:
    """Yield the blocks of every network."""
    for n_blocks in range(MAX_BLOCKS + 1):
        yield from product(range(len(BLOCKS)), repeat=n_blocks)


def _layers(blocks: Blocks) -> tuple[Layer, ...]:
    """Return the layers of these blocks, each on the one before it."""
    added = [layer for block in blocks for layer in BLOCKS[block].layers]
    return tuple(Layer(layer.operation, layer.kernel, (source,)) for source, layer in enumerate(added))
