"""The `edge` and `joint` spaces: networks for small devices, and how to train them.

**Rows.** The choices of the header come first, one row each: index 0, the type code (10 stem stride, 11 base width,
12 augmentation, 13 dropout in percent) and the choice in the kernel column. The layers follow, each on the one before
it, index 0 being the image after the stem; separable convolutions have type 8, strided ones 9, and a residual
convolution has its own index as pred2. While the header is incomplete, the rows are the choices made so far.

**Observation.** One group for each header choice, one-hot over "not yet chosen" and its values in file order; then d
rows, empty ones first, each one-hot: type (10) + kernel (k+1) + pred1 (d+1) + residual bit (2).
"""

from abc import abstractmethod
from math import prod

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures.actions import Action, AddLayer, SetHeader, Terminate
from nasgym.architectures.architecture import Architecture, Header, Layer
from nasgym.architectures.canonical import LeafMerge
from nasgym.architectures.nsc import header_from, header_rows, pad_rows
from nasgym.architectures.operations import Operation, header_word
from nasgym.architectures.spaces.definition import SpaceDefinition
from nasgym.architectures.spaces.encoding import EXTENDED_TYPE_CODES, RowEncoding
from nasgym.architectures.spaces.layered import LayeredSpace, illegal, layer_rows, terminated
from nasgym.architectures.spaces.space import Draft
from nasgym.core.errors import ArchitectureError


class HeaderSpace(LayeredSpace):
    """What spaces whose first actions choose a header share. The header's actions have the lowest ids."""

    def __init__(self, definition: SpaceDefinition, layer_actions: tuple[Action, ...], max_steps: int) -> None:
        header_actions = tuple(action for choice in definition.header for action in choice.variants())
        depth = definition.max_layers
        super().__init__(
            definition,
            actions=header_actions + layer_actions,
            encoding=RowEncoding(depth, (EXTENDED_TYPE_CODES, definition.largest_kernel + 1, depth + 1, 2)),
            max_steps=len(definition.header) + max_steps,
        )
        sizes = [1 + len(choice.values) for choice in definition.header]
        self._header_length = sum(sizes)
        self._header_starts = tuple(sum(sizes[:place]) for place in range(len(sizes)))
        self.n_rows += len(definition.header)
        self.observation_length += self._header_length
        self.observation_groups = (*sizes, *self.observation_groups)
        self._header_masks = tuple(
            np.array([action in choice.variants() for action in self.actions]) for choice in definition.header
        )
        self._after_header = np.array([not isinstance(action, SetHeader) for action in self.actions])

    def architecture(self, draft: Draft) -> Architecture | None:
        """Return the architecture so far; `None` while the header is incomplete."""
        return Architecture(draft.layers, self._header(draft.settings)) if self._has_header(draft) else None

    def rows(self, draft: Draft) -> NDArray[np.int64]:
        """Return the NSC, shape `(n_rows, 5)`: empty rows, header choices made, layers, terminal if there is room."""
        choices = zip(self.definition.header, draft.settings, strict=False)
        header = [(0, int(choice.operation), value, 0, 0) for choice, value in choices]
        return pad_rows(header + layer_rows(draft), self.n_rows)

    def observe(self, draft: Draft) -> NDArray[np.float32]:
        """Return the flat one-hot observation, shape `(observation_length,)`: header groups, then rows."""
        header = np.zeros(self._header_length, dtype=np.float32)
        for place, (start, choice) in enumerate(zip(self._header_starts, self.definition.header, strict=True)):
            chosen = place < len(draft.settings)
            header[start + (1 + choice.values.index(draft.settings[place]) if chosen else 0)] = 1.0
        rows = [(*row[:4], int(row[4] > 0)) for row in layer_rows(draft)]
        return np.concatenate([header, self._encoding.encode(rows)])

    def apply(self, draft: Draft, action: int) -> Draft:
        """Return the draft after `action`; header choices come first, in their order."""
        chosen = self._chosen(draft, action)
        if not isinstance(chosen, SetHeader):
            return self._apply_layers(draft, chosen) if self._has_header(draft) else illegal(draft)
        place = len(draft.settings)
        if self._has_header(draft) or self.definition.header[place].operation is not chosen.operation:
            return illegal(draft)
        return Draft(draft.layers, (*draft.settings, chosen.value), draft.pointers)

    @abstractmethod
    def _apply_layers(self, draft: Draft, chosen: Action) -> Draft:
        """Return the draft, whose header is complete, after an action that is not a header choice."""

    @abstractmethod
    def _legal_layers(self, draft: Draft) -> NDArray[np.bool_]:
        """Return the mask of a draft whose header is complete, as an array of the caller's own."""

    def _legal(self, draft: Draft) -> NDArray[np.bool_]:
        if self._has_header(draft):
            return self._legal_layers(draft)
        mask: NDArray[np.bool_] = self._header_masks[len(draft.settings)].copy()
        return mask

    def _has_header(self, draft: Draft) -> bool:
        return len(draft.settings) == len(self.definition.header)

    def _header(self, settings: tuple[int, ...]) -> Header:
        choices = zip(self.definition.header, settings, strict=True)
        return header_from({choice.operation: value for choice, value in choices})

    def _header_path(self, architecture: Architecture) -> list[int]:
        """Return the header's actions; refuse a header that the space does not have."""
        if architecture.header is None:
            raise ArchitectureError(
                f"The architecture has no header; in space {self.name!r} it begins with "
                f"{' '.join(choice.operation.token + '=…' for choice in self.definition.header)}."
            )
        values = {Operation(code): value for _, code, value, _, _ in header_rows(architecture.header)}
        actions = []
        for choice in self.definition.header:
            value = values.pop(choice.operation)
            if value not in choice.values:
                known = ", ".join(header_word(choice.operation, listed) for listed in choice.values)
                raise ArchitectureError(
                    f"Header choice {header_word(choice.operation, value)} is not in space {self.name!r} "
                    f"(known: {known})."
                )
            actions.append(self._ids[SetHeader(choice.operation, value)])
        for operation, value in values.items():
            if value:
                raise ArchitectureError(
                    f"Header choice {header_word(operation, value)}: space {self.name!r} has no such choice."
                )
        return actions


class EdgeSpace(HeaderSpace):
    """Chains for small devices after their header: `edge`, and `joint` with training choices in the header.

    Actions: the header's values in file order; the operations in file order × listed kernels, each convolution that
    may be residual followed by its residual twin; terminal. A header choice is legal at its turn only, layers and
    terminal after the header. Default τ = header choices + d.

    A residual convolution is legal where input and output have the same width under a rule that doubles the width at
    a strided convolution (with it) and at the first convolution after a pooling: no pooling that shrinks lies between
    it and the convolution, or the stem, before it. Whether the shapes agree in a profile is for the plan to say.
    """

    def __init__(self, definition: SpaceDefinition) -> None:
        super().__init__(definition, (*definition.one_input, Terminate()), max_steps=definition.max_layers)
        residual = np.array([isinstance(action, AddLayer) and action.residual for action in self.actions])
        self._after_pooling = self._after_header & ~residual

    def path(self, architecture: Architecture) -> tuple[int, ...]:
        """Return the actions that build `architecture`, ending with terminal if it is shorter than d."""
        self._check_size(architecture)
        actions = self._header_path(architecture)
        for index, layer in enumerate(architecture.layers, start=1):
            inputs = None if layer.inputs == (index - 1,) else layer.inputs
            actions.append(self._id_of(AddLayer(layer.operation, layer.kernel, inputs, layer.residual), index, layer))
            if layer.residual and not _keeps_width(architecture.layers[: index - 1]):
                raise ArchitectureError(
                    f"Layer {index} ({layer.token}) cannot be residual in space {self.name!r}: a pooling lies between "
                    "it and the convolution before it, so that its width doubles. Drop the '+'."
                )
        return self._closed(actions, architecture)

    def count_by_depth(self, leaves: LeafMerge) -> list[int | None]:  # noqa: ARG002 - chains have one leaf
        """Return the exact numbers: no two of these chains are the same network."""
        layers = [Layer(action.operation, action.kernel, (0,), action.residual) for action in self.definition.one_input]
        shrinking = sum(_shrinks(layer) for layer in layers)
        residual = sum(layer.residual for layer in layers)
        passing = sum(not layer.operation.has_weights and not _shrinks(layer) for layer in layers)
        plain = len(layers) - shrinking - residual - passing
        headers = prod(len(choice.values) for choice in self.definition.header)
        counts: list[int | None] = []
        keeping, pooled = 1, 0
        for _ in range(self.max_layers + 1):
            counts.append(headers * (keeping + pooled))
            keeping, pooled = (
                (keeping + pooled) * plain + keeping * (residual + passing),
                (keeping + pooled) * shrinking + pooled * passing,
            )
        return counts

    def _apply_layers(self, draft: Draft, chosen: Action) -> Draft:
        if not isinstance(chosen, AddLayer):
            return terminated(draft)
        if chosen.residual and not _keeps_width(draft.layers):
            return illegal(draft)
        return self._with_layer(
            draft, Layer(chosen.operation, chosen.kernel, (len(draft.layers),), residual=chosen.residual)
        )

    def _legal_layers(self, draft: Draft) -> NDArray[np.bool_]:
        return (self._after_header if _keeps_width(draft.layers) else self._after_pooling).copy()


def _shrinks(layer: Layer) -> bool:
    return layer.operation.is_pooling and layer.kernel > 1


def _keeps_width(layers: tuple[Layer, ...]) -> bool:
    """Return whether a convolution after `layers` has as many channels as its input."""
    for layer in reversed(layers):
        if layer.operation.has_weights:
            return True
        if _shrinks(layer):
            return False
    return True
