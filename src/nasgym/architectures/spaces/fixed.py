"""The spaces of public benchmarks: a fixed skeleton whose slots are filled one by one, first to last.

**Rows.** With the first choice the row of the skeleton appears, then one row for each layer. **Observation.** One group
for each slot, in the order of the slots: one-hot over "not yet chosen" and the actions.
"""

from collections.abc import Iterator
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures.actions import AddLayer
from nasgym.architectures.architecture import Architecture, Layer
from nasgym.architectures.canonical import LeafMerge
from nasgym.architectures.nsc import layer_row, pad_rows, skeleton_row
from nasgym.architectures.operations import Operation
from nasgym.architectures.skeletons import SKELETONS, SLOTS, Skeleton
from nasgym.architectures.spaces.space import Draft, Ending, SearchSpace
from nasgym.core.errors import ArchitectureError

FIXED = tuple(SKELETONS)
"""Names of these spaces: `cell201`, `macro`, `multi-resolution`."""
MAX_COUNTED = 10**9
"""Spaces of more networks than this are not counted."""


class FixedSpace(SearchSpace):
    """Every way to fill the slots of a skeleton; no terminal action: the last choice ends a draft.

    | space | slots | actions | networks |
    |---|---|---|---|
    | `cell201` | 6 | none, identity, conv1, conv3, avgsame3 | 15,625 |
    | `macro` | 8 | identity, mbconv3, mbconv5 | 6,561 |
    | `multi-resolution` | 27 | n1 … n4, n8 … n128; masked by slot | 4⁴⁰ |

    Args:
        skeleton: whose slots to fill.
    """

    def __init__(self, skeleton: Skeleton) -> None:
        self.skeleton = skeleton
        self.name = self.kind = skeleton.token
        self.slots = SLOTS[skeleton]
        choices = dict.fromkeys(choice for slot in self.slots for choice in slot.choices)
        order = sorted(choices) if skeleton is Skeleton.MULTI_RESOLUTION else list(choices)
        self.actions = tuple(AddLayer(operation, kernel) for operation, kernel in order)
        self.max_layers = self.default_max_steps = len(self.slots)
        self.n_rows = self.max_layers + 1
        self.observation_groups = (1 + len(self.actions),) * self.max_layers
        self.observation_length = sum(self.observation_groups)
        self._ids = {choice: number for number, choice in enumerate(order)}
        self._legal = np.array([[choice in slot.choices for choice in order] for slot in self.slots])

    def architectures(self) -> Iterator[Architecture]:
        """Yield every network, the last slot changing fastest."""
        for choices in product(*(slot.choices for slot in self.slots)):
            yield self.filled(choices)

    def filled(self, choices: tuple[tuple[Operation, int], ...]) -> Architecture:
        """Return the network with these operations and kernel sizes, one for each slot.

        Raises:
            ArchitectureError: too many, too few, or one that does not fit.
        """
        sources = (slot.source for slot in self.slots)
        layers = tuple(Layer(*choice, (source,)) for choice, source in zip(choices, sources, strict=False))
        return Architecture(layers, skeleton=self.skeleton)

    def apply(self, draft: Draft, action: int) -> Draft:
        """Return the draft with one more slot filled; a choice that does not fit there is illegal."""
        chosen = self._chosen(draft, action)
        number = len(draft.layers)
        if not isinstance(chosen, AddLayer) or not self._legal[number, action]:
            return Draft(draft.layers, ending=Ending.ILLEGAL)
        layers = (*draft.layers, Layer(chosen.operation, chosen.kernel, (self.slots[number].source,)))
        return Draft(layers, ending=Ending.FULL if len(layers) == self.max_layers else None)

    def legal(self, draft: Draft) -> NDArray[np.bool_]:
        """Return which actions fit the next slot, shape `(len(actions),)`; none once the draft has ended."""
        if draft.ending is not None:
            return np.zeros(len(self.actions), dtype=np.bool_)
        mask: NDArray[np.bool_] = self._legal[len(draft.layers)].copy()
        return mask

    def architecture(self, draft: Draft) -> Architecture | None:
        """Return the network once every slot is filled; `None` before."""
        return Architecture(draft.layers, skeleton=self.skeleton) if len(draft.layers) == self.max_layers else None

    def rows(self, draft: Draft) -> NDArray[np.int64]:
        """Return the NSC, shape `(n_rows, 5)`, empty rows first."""
        rows = [layer_row(index, layer) for index, layer in enumerate(draft.layers, start=1)]
        return pad_rows([skeleton_row(self.skeleton), *rows] if rows else [], self.n_rows)

    def observe(self, draft: Draft) -> NDArray[np.float32]:
        """Return the flat one-hot observation of the slots, shape `(observation_length,)`."""
        observation = np.zeros((self.max_layers, 1 + len(self.actions)), dtype=np.float32)
        observation[len(draft.layers) :, 0] = 1.0
        for number, layer in enumerate(draft.layers):
            observation[number, 1 + self._ids[layer.operation, layer.kernel]] = 1.0
        return observation.reshape(-1)

    def path(self, architecture: Architecture) -> tuple[int, ...]:
        """Return the actions that build `architecture`, one for each slot."""
        if architecture.skeleton is not self.skeleton:
            raise ArchitectureError(
                f"Space {self.name!r} fills skeleton {self.skeleton.token!r}; the layers of '{architecture}' stand "
                f"for {architecture.skeleton.token!r}."
            )
        return tuple(self._ids[layer.operation, layer.kernel] for layer in architecture.layers)

    def count_by_depth(self, leaves: LeafMerge) -> list[int | None]:  # noqa: ARG002 - a skeleton has one leaf
        """Return 0 for every depth but the last, and there the number of networks."""
        total = prod(len(slot.choices) for slot in self.slots)
        counts: list[int | None] = [0] * self.max_layers
        return [*counts, total if total <= MAX_COUNTED else None]
