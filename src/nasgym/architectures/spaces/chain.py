"""The chain space: every layer follows the one before it (SPEC §2; arXiv 1911.03769, Table 1)."""

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures.actions import AddLayer, Terminate
from nasgym.architectures.architecture import Architecture, Layer
from nasgym.architectures.canonical import LeafMerge
from nasgym.architectures.spaces.definition import SpaceDefinition
from nasgym.architectures.spaces.encoding import chain_encoding
from nasgym.architectures.spaces.layered import LayeredSpace, terminated
from nasgym.architectures.spaces.space import Draft


class ChainSpace(LayeredSpace):
    """Chains of one-input operations; two-input operations of the file are ignored.

    Actions: the operations in file order × listed kernels, then terminal; all of them always legal.
    Observation: `d × (d + k + 10)`. Default τ = d.
    """

    def __init__(self, definition: SpaceDefinition) -> None:
        super().__init__(
            definition,
            actions=(*definition.one_input, Terminate()),
            encoding=chain_encoding(definition.max_layers, definition.largest_kernel),
            max_steps=definition.max_layers,
        )

    def apply(self, draft: Draft, action: int) -> Draft:
        """Return the draft after `action`; none is illegal here."""
        chosen = self._chosen(draft, action)
        if not isinstance(chosen, AddLayer):
            return terminated(draft)
        return self._with_layer(draft, Layer(chosen.operation, chosen.kernel, (len(draft.layers),)))

    def path(self, architecture: Architecture) -> tuple[int, ...]:
        """Return the actions that build `architecture`, ending with terminal if it is shorter than d."""
        self._check_size(architecture)
        actions = []
        for index, layer in enumerate(architecture.layers, start=1):
            inputs = None if layer.inputs == (index - 1,) else layer.inputs
            actions.append(self._id_of(AddLayer(layer.operation, layer.kernel, inputs, layer.residual), index, layer))
        return self._closed(actions, architecture)

    def count_by_depth(self, leaves: LeafMerge) -> list[int | None]:  # noqa: ARG002 - chains have one leaf
        """Return mⁿ for depth n and m one-input choices: no two chains are the same network."""
        return [len(self.definition.one_input) ** depth for depth in range(self.max_layers + 1)]

    def _legal(self, draft: Draft) -> NDArray[np.bool_]:
        return np.full(len(self.actions), draft.ending is None)
