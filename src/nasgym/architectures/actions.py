"""Actions that build an architecture step by step, as types."""

from dataclasses import dataclass
from typing import Literal, assert_never

from nasgym.architectures.operations import Operation, header_word, layer_token


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
class AddStage:
    """Add several layers at once, each on the one before it (`edge-mini`)."""

    layers: tuple[AddLayer, ...]


@dataclass(frozen=True, slots=True)
class Terminate:
    """Declare the architecture finished."""


Action = AddLayer | AddStage | ShiftPointer | SetHeader | Terminate


def action_label(action: Action) -> str:
    """Return a short name: `conv3`, `conv3+`, `add(2,1)`, `p1 up`, `stem=2`, `terminal`, `conv3 maxpool2`.

    >>> action_label(AddLayer(Operation.ADDITION, inputs=(2, 1)))
    'add(2,1)'
    """
    match action:
        case AddLayer(operation, kernel, inputs, residual):
            word = layer_token(operation, kernel, residual)
            return word if inputs is None else f"{word}({','.join(map(str, inputs))})"
        case AddStage(layers):
            return " ".join(action_label(layer) for layer in layers)
        case ShiftPointer(pointer, offset):
            return f"p{pointer} {'up' if offset > 0 else 'down'}"
        case SetHeader(operation, value):
            return header_word(operation, value)
        case Terminate():
            return Operation.TERMINAL.token
        case _:
            assert_never(action)
