"""The explicit space, NASGym's "default": every action names its predecessors (SPEC §2)."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures.actions import Action, AddLayer, Terminate
from nasgym.architectures.architecture import Architecture, Layer
from nasgym.architectures.canonical import LeafMerge
from nasgym.architectures.operations import Operation
from nasgym.architectures.spaces.counting import count_by_writing
from nasgym.architectures.spaces.definition import SpaceDefinition
from nasgym.architectures.spaces.encoding import graph_encoding
from nasgym.architectures.spaces.layered import LayeredSpace, illegal, terminated
from nasgym.architectures.spaces.space import Draft


class ExplicitSpace(LayeredSpace):
    """Graphs whose layers are chosen together with their predecessors.

    Actions: one-input operations in file order × listed kernels × pred1 in 0..d-1; terminal; merges × pairs
    pred2 < pred1 < d: `m·d + 1 + t·d(d-1)/2`, 161 for SPEC's file. A predecessor not yet built, and a merge
    of the image, are illegal. Observation as multi-branch. Default τ = d.
    """

    def __init__(self, definition: SpaceDefinition) -> None:
        super().__init__(
            definition,
            actions=_actions(definition),
            encoding=graph_encoding(definition.max_layers, definition.largest_kernel),
            max_steps=definition.max_layers,
        )
        built = np.arange(self.max_layers)[:, np.newaxis]
        needed = np.array([_needed(action, never=self.max_layers) for action in self.actions])
        self._masks = built >= needed

    def apply(self, draft: Draft, action: int) -> Draft:
        """Return the draft after `action`."""
        chosen = self._chosen(draft, action)
        if not isinstance(chosen, AddLayer) or chosen.inputs is None:
            return terminated(draft)
        if not self._masks[len(draft.layers), action]:
            return illegal(draft)
        return self._with_layer(draft, Layer(chosen.operation, chosen.kernel, chosen.inputs))

    def path(self, architecture: Architecture) -> tuple[int, ...]:
        """Return the actions that build `architecture`, or the same with the inputs of additions swapped.

        No action adds an addition whose first predecessor is the earlier one, which is the same network; a
        concatenation in that order, or a merge of a layer with itself, is another network and not in the space.
        """
        self._check_size(architecture)
        actions = []
        for index, layer in enumerate(architecture.layers, start=1):
            swaps = layer.operation is Operation.ADDITION
            inputs = tuple(sorted(layer.inputs, reverse=True)) if swaps else layer.inputs
            actions.append(self._id_of(AddLayer(layer.operation, layer.kernel, inputs, layer.residual), index, layer))
        return self._closed(actions, architecture)

    def _extensions(self, layers: tuple[Layer, ...]) -> Iterator[Layer]:
        """Yield the layer of every legal action."""
        for action, usable in zip(self.actions, self._masks[len(layers)], strict=True):
            if usable and isinstance(action, AddLayer) and action.inputs is not None:
                yield Layer(action.operation, action.kernel, action.inputs)

    def count_by_depth(self, leaves: LeafMerge) -> list[int | None]:
        """Return how many networks need how many layers; `None` where there are too many to write."""
        return count_by_writing(self._extensions, self.max_layers, leaves)

    def _legal(self, draft: Draft) -> NDArray[np.bool_]:
        mask: NDArray[np.bool_] = self._masks[len(draft.layers)].copy()
        return mask


def _actions(definition: SpaceDefinition) -> tuple[Action, ...]:
    layers = range(definition.max_layers)
    ones = [replace(action, inputs=(first,)) for action in definition.one_input for first in layers]
    twos = [
        replace(action, inputs=(first, second))
        for action in definition.two_input
        for first in layers
        for second in range(first)
    ]
    return (*ones, Terminate(), *twos)


def _needed(action: Action, never: int) -> int:
    """Return how many layers must be in place before the action can be taken; `never` for a merge of the image."""
    if not isinstance(action, AddLayer) or action.inputs is None:
        return 0
    if action.operation.arity == 2 and 0 in action.inputs:
        return never
    return max(action.inputs)
