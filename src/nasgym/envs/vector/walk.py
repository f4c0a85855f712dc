"""Many architectures under construction side by side, as arrays: what every kind of space has in common."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures import Architecture, Layer, Operation
from nasgym.architectures.operations import HEADER_OPERATIONS
from nasgym.architectures.spaces.space import Draft, SearchSpace
from nasgym.core.errors import ArchitectureError
from nasgym.envs.positions import Stop
from nasgym.envs.vector.rows import Codes, Flags, Layout, Numbers, RowBuffer

STOPS = (None, *Stop)
"""What a stop code stands for; 0 while an episode goes on."""
ILLEGAL, TERMINAL, FULL, MAX_STEPS, INVALID = (STOPS.index(stop) for stop in Stop)

_NOT_LAYERS = frozenset({0, Operation.TERMINAL, Operation.SKELETON, *HEADER_OPERATIONS})


@dataclass(frozen=True)
class Snapshot:
    """The architectures of one moment, kept whatever the walk does next.

    Attributes:
        space: what they are architectures of.
        layout: of the row codes.
        window: row codes, shape `(n, R)`, empty rows first.
        slots: row codes of the slots, shape `(n, n_slots)`, rubbish beyond those chosen.
        chosen: number of slots chosen, shape `(n,)`.
        pointers: offsets, shape `(n, 2)`.
    """

    space: SearchSpace
    layout: Layout
    window: Codes
    slots: Codes
    chosen: Numbers
    pointers: Numbers

    def nsc(self, which: Numbers | slice = slice(None)) -> Numbers:
        """Return the rows of some of the architectures, shape `(m, R, 5)`, empty rows first."""
        rows: Numbers = self.layout.nsc[self.window[which]]
        layers = ~np.isin(rows[..., 1], [0, *HEADER_OPERATIONS, Operation.SKELETON])
        rows[..., 0] = np.where(layers, layers.cumsum(axis=1), 0)
        return rows

    def draft(self, number: int) -> Draft:
        """Return architecture `number` as a draft that goes on."""
        first, second = self.pointers[number].tolist()
        rows = [row for row in self.nsc(np.array([number]))[0].tolist() if row[1]]
        settings = tuple(kernel for _, code, kernel, *_ in rows if code in HEADER_OPERATIONS)
        return Draft(tuple(_layer(row) for row in rows if row[1] not in _NOT_LAYERS), settings, (first, second))

    def architecture(self, number: int) -> Architecture:
        """Return architecture `number`.

        Raises:
            ArchitectureError: its header, or a skeleton, is not complete.
        """
        architecture = self.space.architecture(self.draft(number))
        if architecture is None:
            raise ArchitectureError(
                f"Architecture {number} is not complete: choices that every network needs are to be made."
            )
        return architecture


def _layer(row: list[int]) -> Layer:
    index, code, kernel, first, second = row
    operation = Operation(code)
    residual = operation.arity == 1 and second == index
    return Layer(operation, kernel, (first, second)[: operation.arity], residual)


class Walk(ABC):
    """`n` drafts of one space, each on the image shape of its task.

    Attributes:
        n: drafts.
        space: their space.
        layout: how their rows are observed.
        shifts: whether each action shifts a pointer, shape `(n_actions,)`.
    """

    shifts: Flags

    def __init__(self, n: int, space: SearchSpace, layout: Layout, at_once: int = 1) -> None:
        self.n = n
        self.space = space
        self.layout = layout
        self._rows = RowBuffer(n, space.n_rows, len(layout.nsc), at_once)

    @abstractmethod
    def start(self, which: Flags, shapes: Numbers) -> None:
        """Begin anew with the empty draft where `which` says so.

        Args:
            which: shape `(n,)`.
            shapes: number of the image shape of every place, as `shape_number` gave it, shape `(n,)`.
        """

    @abstractmethod
    def shape_number(self, input_shape: tuple[int, int, int]) -> int:
        """Return the number by which `start` knows images of this height, width and channels."""

    @abstractmethod
    def act(self, actions: Numbers) -> NDArray[np.int8]:
        """Take one action in every place; return the stop codes, without `MAX_STEPS`, as an array of the caller's own.

        Drafts that have stopped stay as they are.
        """

    @property
    @abstractmethod
    def answerable(self) -> Flags:
        """Where the last action led to a network that can be evaluated: not after header choices, shape `(n,)`."""

    @property
    @abstractmethod
    def pointers(self) -> Numbers:
        """Offsets of the two pointers, shape `(n, 2)`, an array that does not change."""

    @abstractmethod
    def mask(self) -> NDArray[np.int8]:
        """Return 1 for the legal actions that lead to a network that exists, shape `(n, n_actions)`; an own array."""

    @abstractmethod
    def finishing(self) -> Flags:
        """Return which actions end an episode by themselves if they are taken now, shape `(n, n_actions)`."""

    @property
    @abstractmethod
    def counts(self) -> Numbers:
        """Number of rows in place, shape `(n,)`."""

    @property
    @abstractmethod
    def chosen(self) -> Numbers:
        """Number of slots chosen (header choices, places of a skeleton), shape `(n,)`."""

    @abstractmethod
    def may_exceed(self, input_shape: tuple[int, int, int], n_classes: int) -> bool:
        """Return whether some network of the space might have more parameters than its profile builds."""

    def exceeding(self, n_classes: Numbers) -> Flags | None:
        """Return which networks of the moment, or which with one more layer, might exceed that; `None` where none can.

        Args:
            n_classes: of the task of every place, shape `(n,)`.
        """
        del n_classes
        return None

    def snapshot(self) -> Snapshot:
        """Return the architectures as they are now; its arrays do not change."""
        layout = self.layout
        return Snapshot(
            self.space,
            layout,
            self._rows.window(self.counts),
            self._rows.rows(layout.first_slot, len(layout.slots)),
            self.chosen,
            self.pointers,
        )
