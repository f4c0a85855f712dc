"""Skeletons: what the layers of an architecture stand for, and which layers a fixed one has room for. No torch.

A fixed skeleton is a network with slots; an architecture fills each slot with one of a few choices. The three are those
of public benchmarks, so that what is known about their networks can be looked up.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

from nasgym.architectures.operations import Operation


class Skeleton(IntEnum):
    """What surrounds the layers; the value is the NSC code of a fixed skeleton."""

    LAYERED = 0
    """Nothing: the layers are the network."""
    CELL201 = 1
    """NAS-Bench-201 (arXiv 2001.00326): the layers are the six edges of a cell of four nodes, and 15 copies of the cell
    stand in three stages. The input of a layer is the number of a node, 0 being the input of the cell."""
    MACRO = 2
    """NAS-Bench-Macro (arXiv 2103.11922): a chain of eight blocks in three stages."""
    MULTI_RESOLUTION = 3
    """NAS-Bench-MR (arXiv 2103.13253): 27 numbers that describe a network of up to four parallel resolutions.
    It can be looked up and predicted; it is not built here."""

    @property
    def token(self) -> str:
        """Name in text and configuration: `layered`, `cell201`, `macro`, `multi-resolution`."""
        return self.name.lower().replace("_", "-")

    @property
    def is_built(self) -> bool:
        """Whether its networks can be planned and built, so that their costs follow from their layers."""
        return self is not Skeleton.MULTI_RESOLUTION


@dataclass(frozen=True, slots=True)
class Slot:
    """Room for one layer.

    Attributes:
        source: the one input of the layer that goes there.
        choices: operations and kernel sizes that fit, in the order of their actions.
    """

    source: int
    choices: tuple[tuple[Operation, int], ...]


CELL_NODES = 4
"""Nodes of a NAS-Bench-201 cell: its input, two inner ones and its output."""
CELL_EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""From which node to which each of the six layers of a cell leads."""
_CELL_CHOICES = (
    (Operation.ZERO, 0),
    (Operation.IDENTITY, 0),
    (Operation.CONVOLUTION, 1),
    (Operation.CONVOLUTION, 3),
    (Operation.AVERAGE_SAME, 3),
)
_MACRO_LAYERS = 8
_MACRO_CHOICES = ((Operation.IDENTITY, 0), (Operation.INVERTED_RESIDUAL, 3), (Operation.INVERTED_RESIDUAL, 5))
_COUNTS = tuple((Operation.NUMBER, count) for count in range(1, 5))
_CHANNELS = tuple((Operation.NUMBER, channels) for channels in range(8, 129, 8))
_RESOLUTIONS = 4


def _multi_resolution_slots() -> tuple[Slot, ...]:
    """Return two widths of the stem; for 1 to 4 resolutions the blocks, units and widths of each; the last width."""
    choices = [_CHANNELS, _CHANNELS]
    for resolutions in range(1, _RESOLUTIONS + 1):
        choices += [_COUNTS, *[_COUNTS] * resolutions, *[_CHANNELS] * resolutions]
    choices.append(_CHANNELS)
    return tuple(Slot(source, options) for source, options in enumerate(choices))


SLOTS: Mapping[Skeleton, tuple[Slot, ...]] = MappingProxyType(
    {
        Skeleton.CELL201: tuple(Slot(source, _CELL_CHOICES) for source, _ in CELL_EDGES),
        Skeleton.MACRO: tuple(Slot(source, _MACRO_CHOICES) for source in range(_MACRO_LAYERS)),
        Skeleton.MULTI_RESOLUTION: _multi_resolution_slots(),
    }
)
"""The slots of each fixed skeleton, first to last."""

SKELETONS: Mapping[str, Skeleton] = MappingProxyType({skeleton.token: skeleton for skeleton in SLOTS})
"""The fixed skeletons by name."""
