"""The multi-branch space: two movable pointers choose the predecessors (SPEC §2; arXiv 1911.03769, Table 2)."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures.actions import AddLayer, ShiftPointer, Terminate
from nasgym.architectures.architecture import Architecture, Layer
from nasgym.architectures.canonical import LeafMerge
from nasgym.architectures.spaces.counting import count_by_writing
from nasgym.architectures.spaces.definition import SpaceDefinition
from nasgym.architectures.spaces.encoding import graph_encoding
from nasgym.architectures.spaces.layered import LayeredSpace, illegal, terminated
from nasgym.architectures.spaces.space import Draft

SHIFTS = (ShiftPointer(1, 1), ShiftPointer(1, -1), ShiftPointer(2, 1), ShiftPointer(2, -1))


class MultiBranchSpace(LayeredSpace):
    """Graphs built with two pointers, offsets relative to the newest layer that stay while layers are added.

    Actions: one-input operations on p1, in file order × listed kernels; terminal; merges of (p1, p2); p1 up,
    p1 down, p2 up, p2 down. A pointer stays within `0 <= newest + offset <= newest`, and a merge takes layers
    (1 or more), not the image; both may be the same layer. Observation: `d × (2d + k + 11)`. Default τ = 2d.
    """

    def __init__(self, definition: SpaceDefinition) -> None:
        super().__init__(
            definition,
            actions=(*definition.one_input, Terminate(), *definition.two_input, *SHIFTS),
            encoding=graph_encoding(definition.max_layers, definition.largest_kernel),
            max_steps=2 * definition.max_layers,
        )
        first_shift = len(self.actions) - len(SHIFTS)
        self._merges = slice(first_shift - len(definition.two_input), first_shift)
        self._shifts = slice(first_shift, None)

    def apply(self, draft: Draft, action: int) -> Draft:
        """Return the draft after `action`."""
        chosen = self._chosen(draft, action)
        newest = len(draft.layers)
        if isinstance(chosen, AddLayer):
            sources = (newest + draft.pointers[0], newest + draft.pointers[1])[: chosen.operation.arity]
            if chosen.operation.arity == 2 and 0 in sources:
                return illegal(draft)
            return self._with_layer(draft, Layer(chosen.operation, chosen.kernel, sources))
        if isinstance(chosen, ShiftPointer):
            first, second = draft.pointers
            moved = draft.pointers[chosen.pointer - 1] + chosen.offset
            if not -newest <= moved <= 0:
                return illegal(draft)
            return Draft(draft.layers, draft.settings, (moved, second) if chosen.pointer == 1 else (first, moved))
        return terminated(draft)

    def path(self, architecture: Architecture) -> tuple[int, ...]:
        """Return the actions that build `architecture` with the fewest pointer moves.

        Every layer asks for one position of p1, and a merge for one of p2; the moves between two
        positions cannot be saved, and each is made when it is needed, where its range is widest.
        """
        self._check_size(architecture)
        actions: list[int] = []
        pointers = [0, 0]
        for index, layer in enumerate(architecture.layers, start=1):
            added = self._id_of(AddLayer(layer.operation, layer.kernel, None, layer.residual), index, layer)
            for place, source in enumerate(layer.inputs):
                actions += self._moves(1 if place == 0 else 2, pointers[place], source - (index - 1))
                pointers[place] = source - (index - 1)
            actions.append(added)
        return self._closed(actions, architecture)

    def _extensions(self, layers: tuple[Layer, ...]) -> Iterator[Layer]:
        """Yield every operation on every layer before it, and every merge of every ordered pair."""
        newest = len(layers)
        for action in self.definition.one_input:
            for source in range(newest + 1):
                yield Layer(action.operation, action.kernel, (source,))
        for action in self.definition.two_input:
            for first in range(1, newest + 1):
                for second in range(1, newest + 1):
                    yield Layer(action.operation, action.kernel, (first, second))

    def count_by_depth(self, leaves: LeafMerge) -> list[int | None]:
        """Return how many networks need how many layers; `None` where there are too many to write."""
        return count_by_writing(self._extensions, self.max_layers, leaves)

    def describe(self, action: int) -> str:
        """Return what the action does, with the pointers it reads."""
        chosen = self.actions[action]
        label = super().describe(action)
        if not isinstance(chosen, AddLayer):
            return label
        return f"{label}(p1, p2)" if chosen.operation.arity == 2 else f"{label} on p1"

    def _legal(self, draft: Draft) -> NDArray[np.bool_]:
        newest = len(draft.layers)
        first, second = draft.pointers
        mask = np.ones(len(self.actions), dtype=np.bool_)
        mask[self._merges] = newest + first > 0 and newest + second > 0
        mask[self._shifts] = (first < 0, newest + first > 0, second < 0, newest + second > 0)
        return mask

    def _moves(self, pointer: Literal[1, 2], offset: int, wanted: int) -> list[int]:
        step = ShiftPointer(pointer, 1 if wanted > offset else -1)
        return [self._ids[step]] * abs(wanted - offset)
