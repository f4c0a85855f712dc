"""What a search-space file says, as frozen values."""

from dataclasses import dataclass
from enum import StrEnum

from nasgym.architectures.actions import AddLayer, SetHeader
from nasgym.architectures.operations import Operation


class SpaceKind(StrEnum):
    """How the actions of a space build an architecture."""

    CHAIN = "chain"
    """Every layer follows the one before it."""
    MULTI_BRANCH = "multi-branch"
    """Two movable pointers choose the predecessors."""
    EXPLICIT = "explicit"
    """Every action names its predecessors."""
    EDGE = "edge"
    """A chain after header choices: stem stride and base width."""
    JOINT = "joint"
    """`edge` with training choices in the header."""


@dataclass(frozen=True, slots=True)
class OperationChoice:
    """One entry of `layers:`.

    Attributes:
        operation: what it is.
        kernels: its kernel sizes in the order listed; empty where it has none.
        residual: whether it also comes with the residual bit.
    """

    operation: Operation
    kernels: tuple[int, ...] = ()
    residual: bool = False

    def variants(self) -> tuple[AddLayer, ...]:
        """Return one action per kernel size, each followed by its residual twin where there is one."""
        bits = (False, True) if self.residual else (False,)
        return tuple(
            AddLayer(self.operation, kernel, residual=residual) for kernel in self.kernels or (0,) for residual in bits
        )


@dataclass(frozen=True, slots=True)
class HeaderChoice:
    """One entry of `header:`: a choice made before the first layer.

    Attributes:
        operation: type of its row.
        values: what can be chosen, in the order listed.
    """

    operation: Operation
    values: tuple[int, ...]

    def variants(self) -> tuple[SetHeader, ...]:
        """Return one action per value."""
        return tuple(SetHeader(self.operation, value) for value in self.values)


@dataclass(frozen=True, slots=True)
class SpaceDefinition:
    """A search-space file.

    Attributes:
        name: what users call the space.
        kind: how its actions build architectures.
        max_layers: d, the largest number of layers.
        operations: the entries of `layers:` in file order, the terminal included.
        header: the entries of `header:` in file order.
    """

    name: str
    kind: SpaceKind
    max_layers: int
    operations: tuple[OperationChoice, ...]
    header: tuple[HeaderChoice, ...] = ()

    @property
    def one_input(self) -> tuple[AddLayer, ...]:
        """The layers with one predecessor: operations in file order × listed kernels."""
        return tuple(action for entry in self.operations if entry.operation.arity == 1 for action in entry.variants())

    @property
    def two_input(self) -> tuple[AddLayer, ...]:
        """The merges in file order."""
        return tuple(action for entry in self.operations if entry.operation.arity == 2 for action in entry.variants())

    @property
    def largest_kernel(self) -> int:
        """Return k, the largest kernel size in the file."""
        return max((kernel for entry in self.operations for kernel in entry.kernels), default=0)
