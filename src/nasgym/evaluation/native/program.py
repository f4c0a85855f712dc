"""A plan as the list of operations that the compiled code runs through; no torch."""

from dataclasses import dataclass
from enum import IntEnum

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
        relu: whether a ReLU comes first.
        places: for each input of a merge, where it lies in it: rows from the top, columns from the left, channels.
    """

    kind: Kind
    node: int
    inputs: tuple[int, ...]
    shape: tuple[int, int, int]
    learns: bool
    kernel: int = 0
    relu: bool = False
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

    It has square convolutions of stride 1 and odd size that keep the size, with BatchNorm and without bias; poolings
    whose windows do not overlap; merges; and a head that pools and has one dense layer without dropout.
    """
    head = plan.head
    if not head.pools or head.norm or len(head.layers) > 1 or head.layers[0].dropout:
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


def _operation(node: Node, inputs: tuple[int, ...], before: list[Operation]) -> Operation | None:
    learns = any(before[source].learns for source in inputs)
    computes = node.computes
    if node.shape[0] > MAX_CHANNELS or len(inputs) > MAX_INPUTS:
        return None
    match computes:
        case Convolutions(steps=(step,), residual=False) if _is_plain(step):
            return Operation(Kind.CONVOLUTION, node.index, inputs, node.shape, True, step.window.kernel, step.relu)
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
    same = window.kernel % 2 == 1 and window.before == window.after == window.kernel // 2
    normalised = unit.has_norm and not unit.has_bias and not unit.ends_with_relu
    return same and normalised and window.stride == 1 and window.kernel <= MAX_KERNEL and not step.depthwise
