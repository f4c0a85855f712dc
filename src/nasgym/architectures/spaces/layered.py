"""What the spaces of NSC rows share: rows, observations and checks."""

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures.actions import Action, AddLayer, Terminate
from nasgym.architectures.architecture import Architecture, Layer
from nasgym.architectures.nsc import Row, layer_row, pad_rows, terminal_row
from nasgym.architectures.spaces.definition import SpaceDefinition
from nasgym.architectures.spaces.encoding import RowEncoding
from nasgym.architectures.spaces.space import Draft, Ending, SearchSpace
from nasgym.core.errors import ArchitectureError


class LayeredSpace(SearchSpace):
    """A space in which the layers in place, one row each, are the observation."""

    def __init__(
        self, definition: SpaceDefinition, actions: tuple[Action, ...], encoding: RowEncoding, max_steps: int
    ) -> None:
        self.name = definition.name
        self.kind = definition.kind.value
        self.max_layers = definition.max_layers
        self.actions = actions
        self.n_rows = encoding.n_rows
        self.observation_length = encoding.length
        self.observation_groups = encoding.sizes * encoding.n_rows
        self.default_max_steps = max_steps
        self.definition = definition
        self._encoding = encoding
        self._ids = {action: number for number, action in enumerate(actions)}
        self._none = np.zeros(len(actions), dtype=np.bool_)

    def architecture(self, draft: Draft) -> Architecture | None:
        """Return the layers in place as an architecture; these spaces have no header."""
        return Architecture(draft.layers)

    def rows(self, draft: Draft) -> NDArray[np.int64]:
        """Return the NSC, shape `(n_rows, 5)`, empty rows first; a terminal action leaves its row."""
        return pad_rows(layer_rows(draft), self.n_rows)

    def observe(self, draft: Draft) -> NDArray[np.float32]:
        """Return the flat one-hot observation of the rows, shape `(observation_length,)`."""
        return self._encoding.encode(layer_rows(draft))

    def legal(self, draft: Draft) -> NDArray[np.bool_]:
        """Return which actions can be taken, shape `(len(actions),)`; none once the draft has ended."""
        return self._none.copy() if draft.ending is not None else self._legal(draft)

    @abstractmethod
    def _legal(self, draft: Draft) -> NDArray[np.bool_]:
        """Return the mask of a draft that has not ended, as an array of the caller's own."""

    def _with_layer(self, draft: Draft, layer: Layer) -> Draft:
        layers = (*draft.layers, layer)
        ending = Ending.FULL if len(layers) == self.max_layers else None
        return Draft(layers, draft.settings, draft.pointers, ending)

    def _id_of(self, action: AddLayer, index: int, layer: Layer) -> int:
        """Return the id of the action that adds layer number `index`."""
        if action not in self._ids:
            raise ArchitectureError(
                f"Layer {index} ({layer.token} on {list(layer.inputs)}) is not in space {self.name!r}: "
                "no action adds it; see its actions with `nasgym space show`."
            )
        return self._ids[action]

    def _check_size(self, architecture: Architecture) -> None:
        """Refuse what no draft of the space can be, before its layers are looked at."""
        if len(architecture) > self.max_layers:
            raise ArchitectureError(
                f"Layer {self.max_layers + 1}: the architecture has {len(architecture)} layers, "
                f"space {self.name!r} at most {self.max_layers}."
            )
        if architecture.header is not None and not self.definition.header:
            raise ArchitectureError(f"The architecture has a header; space {self.name!r} has none.")

    def _closed(self, actions: list[int], architecture: Architecture) -> tuple[int, ...]:
        """Return `actions` with the terminal action where the last layer does not end the draft by itself."""
        if len(architecture) < self.max_layers:
            actions.append(self._ids[Terminate()])
        return tuple(actions)


def illegal(draft: Draft) -> Draft:
    """Return the draft as an action that cannot be taken leaves it."""
    return Draft(draft.layers, draft.settings, draft.pointers, Ending.ILLEGAL)


def terminated(draft: Draft) -> Draft:
    """Return the draft after the terminal action."""
    return Draft(draft.layers, draft.settings, draft.pointers, Ending.TERMINAL)


def layer_rows(draft: Draft) -> list[Row]:
    """Return the rows of the layers and, after a terminal action, its own."""
    rows = [layer_row(index, layer) for index, layer in enumerate(draft.layers, start=1)]
    if draft.ending is Ending.TERMINAL:
        rows.append(terminal_row(len(rows) + 1))
    return rows
