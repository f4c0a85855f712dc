"""Actions that build an architecture step by step, as types."""

from dataclasses import dataclass
from typing import Literal

from nasgym.architectures.operations import Operation


@dataclass(frozen=True, slots=True)
class AddLayer:
    """Add a layer.

    Attributes:
        operation: what it computes.
        kernel: kernel size, 0 where there is none.
        inputs: its predecessors in the explicit space; elsewhere `None`: the previous layer, or the pointers.
        residual: whether its input is added to its output.
    """

    operation: Operation
    kernel: int = 0
    inputs: tuple[int, ...] | None = None
    residual: bool = False


@dataclass(frozen=True, slots=True)
class ShiftPointer:
    """Move predecessor pointer 1 or 2 by one layer: `+1` up (towards the newest), `-1` down."""

    pointer: Literal[1, 2]
    offset: Literal[1, -1]


@dataclass(frozen=True, slots=True)
class SetHeader:
    """Make one header choice; `operation` is the header row's type."""

    operation: Operation
    value: int


@dataclass(frozen=True, slots=True)
class Terminate:
    """Declare the architecture finished."""


Action = AddLayer | ShiftPointer | SetHeader | Terminate
