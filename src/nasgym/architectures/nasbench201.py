"""Cells as NAS-Bench-201 writes them: `|nor_conv_3x3~0|+|none~0|skip_connect~1|+|…|` (arXiv 2001.00326).

Between `+` stand the nodes 1 to 3 of a cell; between `|` the operations that lead to a node, each with the
node it comes from.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

from nasgym.architectures.architecture import Architecture, Layer
from nasgym.architectures.operations import Operation
from nasgym.architectures.skeletons import CELL_EDGES, Skeleton
from nasgym.core.errors import ArchitectureError, nearest

CELL_STRING = "|"
"""How such a text begins."""
NAMES: Mapping[tuple[Operation, int], str] = MappingProxyType(
    {
        (Operation.ZERO, 0): "none",
        (Operation.IDENTITY, 0): "skip_connect",
        (Operation.CONVOLUTION, 1): "nor_conv_1x1",
        (Operation.CONVOLUTION, 3): "nor_conv_3x3",
        (Operation.AVERAGE_SAME, 3): "avg_pool_3x3",
    }
)
"""What NAS-Bench-201 calls each operation and kernel size."""
_CHOICES = {name: choice for choice, name in NAMES.items()}
_CELL = re.compile(r"\|(\w+)~0\|\+\|(\w+)~0\|(\w+)~1\|\+\|(\w+)~0\|(\w+)~1\|(\w+)~2\|")


def parse_cell(text: str) -> Architecture:
    """Return the cell that a NAS-Bench-201 string describes.

    Raises:
        ArchitectureError: it is not such a string, or names an unknown operation.
    """
    match = _CELL.fullmatch("".join(text.split()))
    if match is None:
        raise ArchitectureError(
            f"{text.strip()!r} is not a NAS-Bench-201 cell; one looks like "
            "|none~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|."
        )
    layers = []
    for name, (source, _) in zip(match.groups(), CELL_EDGES, strict=True):
        if name not in _CHOICES:
            known = ", ".join(_CHOICES)
            raise ArchitectureError(
                f"{text.strip()!r}: unknown operation {name!r} (known: {known}).{nearest(name, _CHOICES)}"
            )
        layers.append(Layer(*_CHOICES[name], (source,)))
    return Architecture(tuple(layers), skeleton=Skeleton.CELL201)


def format_cell(architecture: Architecture) -> str:
    """Return the NAS-Bench-201 string of a cell; `parse_cell` gives the same value back.

    Raises:
        ArchitectureError: the architecture is not a cell.
    """
    if architecture.skeleton is not Skeleton.CELL201:
        raise ArchitectureError(f"{architecture} is not a NAS-Bench-201 cell.")
    words = [f"{NAMES[layer.operation, layer.kernel]}~{layer.inputs[0]}" for layer in architecture.layers]
    nodes = (words[:1], words[1:3], words[3:])
    return "+".join(f"|{'|'.join(node)}|" for node in nodes)
