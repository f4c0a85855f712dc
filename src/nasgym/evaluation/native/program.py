"""A plan as the list of operations that the compiled code runs through; no torch."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from nasgym.networks.nodes import Addition, Concatenation, Convolution, Convolutions, Identity, Image, Node, Pooling
from nasgym.networks.plan import Plan

LANES = 16
"""Channels in a block of a feature map."""
IMAGE_LANES = 4
"""The same for raw images of at most four channels."""
MAX_INPUTS = 16
"""Inputs of one merge."""
MAX_CHANNELS = 2048
"""Channels of one feature map."""
MAX_KERNEL = 15
"""Side of a convolution."""
IMAGE_NODE = -1
"""Stands for the image where a plan begins with a stem."""


class Kind(IntEnum):
    """What an operation does; the numbers are those of `vectors.h`."""

    IMAGE = 0
    CONVOLUTION = 1
    MAXIMUM = 2
    AVERAGE = 3
    ADDITION = 4
    CONCATENATION = 5


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; its inputs come before it.

    Attributes:
        kind: what it does.
        node: index of the plan's node; `IMAGE_NODE` for the image.
        inputs: numbers of other operations.
        shape: of the output: channels, height, width.
        learns: whether it, or something before it, has parameters.
        kernel: side of the window.
        margin: zeros on every side of a convolution's input.
        relu: whether a ReLU comes first.
        normalises: whether BatchNorm follows a convolution; otherwise a bias and a ReLU do.
        places: for each input of a merge, where it lies in it: rows from the top, columns from the left, channels.
    """

    kind: Kind
    node: int
    inputs: tuple[int, ...]
    shape: tuple[int, int, int]
    learns: bool
    kernel: int = 0
    margin: int = 0
    relu: bool = False
    normalises: bool = True
    places: tuple[tuple[int, int, int], ...] = ()

    @property
    def block(self) -> int:
        """Channels that lie side by side in memory."""
        raw_image = self.shape[0] <= IMAGE_LANES and not self.learns
        return IMAGE_LANES if raw_image else LANES

    @property
    def blocks(self) -> int:
        """Blocks of channels; what lies beyond the last channel is zero."""
        return -(-self.shape[0] // self.block)

    @property
    def elements(self) -> int:
        """Numbers stored for one image."""
        return self.blocks * self.block * self.shape[1] * self.shape[2]


def program_of(plan: Plan) -> tuple[Operation, ...] | None:
    """Return the operations of `plan`, the one that feeds the head last; `None` where the compiled code lacks one.

    It has square convolutions of stride 1 with as many zeros on every side, followed by BatchNorm or by a bias and a
    ReLU; poolings whose windows do not overlap; merges; a head that pools and has one dense layer without dropout, and
    one that flattens and has any number of dense layers, with dropout before all but the first.
    """
    head = plan.head
    if head.norm or head.layers[0].dropout or (head.pools and len(head.layers) > 1):
        return None
    height, width, channels = plan.input_shape
    operations = [Operation(Kind.IMAGE, IMAGE_NODE, (), (channels, height, width), learns=False)]
    number: dict[int, int] = {}
    for node in plan.nodes:
        if isinstance(node.computes, Image | Identity):
            number[node.index] = number[node.inputs[0]] if node.inputs else 0
            continue
        inputs = tuple(number[source] for source in node.inputs) or (0,)
        operation = _operation(node, inputs, operations)
        if operation is None:
            return None
        number[node.index] = len(operations)
        operations.append(operation)
    return tuple(operations) if number[plan.nodes[-1].index] == len(operations) - 1 else None


def occupied(program: tuple[Operation, ...]) -> NDArray[np.bool_]:
    """Return which numbers of the last feature map can differ from zero: all that no merge has filled up.

    Shape (channels, height, width). Concatenation and addition of unequal feature maps leave much of them empty.
    """
    maps: list[NDArray[np.bool_]] = []
    for step in program:
        channels, height, width = step.shape
        match step.kind:
            case Kind.IMAGE | Kind.CONVOLUTION:
                maps.append(np.ones(step.shape, dtype=bool))
            case Kind.MAXIMUM | Kind.AVERAGE:
                covered = maps[step.inputs[0]][:, : height * step.kernel, : width * step.kernel]
                windows = covered.reshape(channels, height, step.kernel, width, step.kernel)
                maps.append(np.any(windows, axis=(2, 4)))
            case _:
                merged = np.zeros(step.shape, dtype=bool)
                for source, (top, left, first) in zip(step.inputs, step.places, strict=True):
                    own = maps[source]
                    deep, high, wide = own.shape
                    merged[first : first + deep, top : top + high, left : left + wide] |= own
                maps.append(merged)
    return maps[-1]


def _operation(node: Node, inputs: tuple[int, ...], before: list[Operation]) -> Operation | None:
    learns = any(before[source].learns for source in inputs)
    computes = node.computes
    if node.shape[0] > MAX_CHANNELS or len(inputs) > MAX_INPUTS:
        return None
    match computes:
        case Convolutions(steps=(step,), residual=False) if _is_plain(step):
            window, normalises = step.window, step.unit.has_norm
            shared = (Kind.CONVOLUTION, node.index, inputs, node.shape, True)
            return Operation(*shared, window.kernel, window.before, step.relu, normalises)
        case Pooling(window) if window.before == window.after == 0 and window.stride == window.kernel:
            kind = Kind.AVERAGE if computes.average else Kind.MAXIMUM
            return Operation(kind, node.index, inputs, node.shape, learns, window.kernel)
        case Addition(zeros) | Concatenation(zeros):
            adds = isinstance(computes, Addition)
            places, channel = [], 0
            for source, around in zip(inputs, zeros, strict=True):
                places.append((around[2], around[0], channel + around[4]))
                channel += 0 if adds else around[4] + before[source].shape[0] + around[5]
            kind = Kind.ADDITION if adds else Kind.CONCATENATION
            return Operation(kind, node.index, inputs, node.shape, learns, places=tuple(places))
        case _:
            return None


def _is_plain(step: Convolution) -> bool:
    window, unit = step.window, step.unit
    symmetric = window.stride == 1 and window.before == window.after < window.kernel <= MAX_KERNEL
    return symmetric and unit.has_norm != unit.ends_with_relu and not step.depthwise
