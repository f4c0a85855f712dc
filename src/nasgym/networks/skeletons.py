"""The networks of fixed skeletons, node by node, as their benchmarks trained them. No torch.

A profile decides nothing here but the safety cap and how the network is trained. Two things differ from the
benchmarks' own code, and neither shows in their costs: `none` gives zeros that let no gradient through, and the
average pooling of a NAS-Bench-201 reduction covers the odd last row and column of sizes that 2 does not divide.
"""

from nasgym.architectures import Architecture, Layer, Operation, Skeleton
from nasgym.architectures.skeletons import CELL_EDGES, CELL_NODES
from nasgym.core.errors import PlanError
from nasgym.networks.nodes import (
    NO_ZEROS,
    Addition,
    Computation,
    Convolution,
    Convolutions,
    Dense,
    Head,
    Identity,
    Node,
    Pooling,
    Shape,
    Window,
    Zero,
)
from nasgym.networks.profiles import Unit

CELL_WIDTHS = (16, 32, 64)
"""Channels of the three stages of NAS-Bench-201."""
CELLS_PER_STAGE = 5
MACRO_STEM = 32
MACRO_STAGES = (2, 3, 3)
"""Blocks of the three stages of NAS-Bench-Macro; the first of a stage halves the image and doubles the channels."""
MACRO_FEATURES = 1280
"""Channels of the last convolution of NAS-Bench-Macro."""
MACRO_EXPANSIONS = {3: 3, 5: 6}
"""By kernel size, how many times wider an inverted residual block is inside."""
CELL_LAYER_NODES = (1, 2, 3, 5, 6, 8)
"""The nodes that are the six layers of the first cell; nodes 4, 7 and 9 add."""


def fixed_network(
    architecture: Architecture, input_shape: tuple[int, int, int], n_classes: int
) -> tuple[tuple[Node, ...], Head]:
    """Return the nodes of a network with a fixed skeleton, each after its inputs, and its head.

    Raises:
        PlanError: the image is empty, or networks of this skeleton are not built.
    """
    if min(input_shape) < 1 or n_classes < 1:
        raise PlanError(
            f"An image of {input_shape[0]}×{input_shape[1]} pixels with {input_shape[2]} channels and {n_classes} "
            "classes cannot be planned for; all must be at least 1.",
            layer=0,
        )
    match architecture.skeleton:
        case Skeleton.CELL201:
            return _cell_network(architecture.layers, input_shape, n_classes)
        case Skeleton.MACRO:
            return _macro_network(architecture.layers, input_shape, n_classes)
        case _:
            raise PlanError(
                f"Networks of skeleton {architecture.skeleton.token!r} are looked up or predicted, not planned or "
                "built; evaluate them with a table or a surrogate.",
                layer=0,
            )


class _Nodes:
    """A network under construction: every method appends a node and returns its number."""

    def __init__(self, input_shape: tuple[int, int, int], stem: int, unit: Unit) -> None:
        height, width, channels = input_shape
        shape = (stem, height, width)
        convolution = Convolution(Window.same(3), channels, shape, unit, relu=False)
        self.nodes = [Node(0, Convolutions((convolution,)), (), shape, level=0, raw=False)]

    def shape(self, source: int) -> Shape:
        return self.nodes[source].shape

    def append(self, computes: Computation, inputs: tuple[int, ...], shape: Shape) -> int:
        self.nodes.append(Node(len(self.nodes), computes, inputs, shape, level=0, raw=False))
        return len(self.nodes) - 1

    def convolution(self, source: int, channels: int, window: Window, unit: Unit, *, relu: bool = False) -> int:
        step = _step(self.shape(source), channels, window, unit, relu=relu)
        return self.append(Convolutions((step,)), (source,), step.shape)

    def average(self, source: int, window: Window) -> int:
        channels, height, width = self.shape(source)
        shape = (channels, window.output(height), window.output(width))
        return self.append(Pooling(window, average=True), (source,), shape)

    def add(self, first: int, second: int) -> int:
        return self.append(Addition((NO_ZEROS, NO_ZEROS)), (first, second), self.shape(first))

    def unchanged(self, source: int) -> int:
        return self.append(Identity(), (source,), self.shape(source))


def _step(
    source: Shape, channels: int, window: Window, unit: Unit, *, relu: bool, depthwise: bool = False
) -> Convolution:
    shape = (channels, window.output(source[1]), window.output(source[2]))
    return Convolution(window, source[0], shape, unit, relu, depthwise)


def _cell_network(
    layers: tuple[Layer, ...], input_shape: tuple[int, int, int], n_classes: int
) -> tuple[tuple[Node, ...], Head]:
    """NAS-Bench-201 (arXiv 2001.00326, §2): stem, three stages of five cells, two residual reductions between them."""
    network = _Nodes(input_shape, CELL_WIDTHS[0], Unit.CONV_NORM)
    newest = 0
    for stage, channels in enumerate(CELL_WIDTHS):
        if stage:
            newest = _reduction(network, newest, channels)
        for _ in range(CELLS_PER_STAGE):
            newest = _cell(network, newest, layers)
    features = network.shape(newest)
    classifier = Dense(features[0], n_classes, dropout=0.0, relu=False)
    return tuple(network.nodes), Head(features, relu=True, pools=True, layers=(classifier,), norm=True)


def _cell(network: _Nodes, source: int, layers: tuple[Layer, ...]) -> int:
    """Append one cell; node `j` of it is the sum of the layers that lead there."""
    reached = [source] + [-1] * (CELL_NODES - 1)
    for layer, (start, end) in zip(layers, CELL_EDGES, strict=True):
        output = _edge(network, reached[start], layer)
        reached[end] = output if reached[end] < 0 else network.add(reached[end], output)
    return reached[-1]


def _edge(network: _Nodes, source: int, layer: Layer) -> int:
    shape = network.shape(source)
    match layer.operation:
        case Operation.CONVOLUTION:
            unit = Unit.RELU_CONV_NORM_EXCEPT_FIRST
            return network.convolution(source, shape[0], Window.same(layer.kernel), unit, relu=True)
        case Operation.AVERAGE_SAME:
            return network.average(source, Window.same(layer.kernel))
        case Operation.IDENTITY:
            return network.unchanged(source)
        case _:
            return network.append(Zero(), (source,), shape)


def _reduction(network: _Nodes, source: int, channels: int) -> int:
    """Append a residual block of stride 2: two convolutions beside an average pooling and a convolution."""
    unit = Unit.RELU_CONV_NORM_EXCEPT_FIRST
    first = network.convolution(source, channels, Window.same(3, stride=2), unit, relu=True)
    second = network.convolution(first, channels, Window.same(3), unit, relu=True)
    pooled = network.average(source, Window.same(2, stride=2))
    shortcut = network.convolution(pooled, channels, Window(1), Unit.CONV)
    return network.add(shortcut, second)


def _macro_network(
    layers: tuple[Layer, ...], input_shape: tuple[int, int, int], n_classes: int
) -> tuple[tuple[Node, ...], Head]:
    """NAS-Bench-Macro (arXiv 2103.11922, appendix): stem, eight blocks in three stages, a wide convolution."""
    network = _Nodes(input_shape, MACRO_STEM, Unit.CONV_NORM_RELU)
    starts = [sum(MACRO_STAGES[:stage]) for stage in range(len(MACRO_STAGES))]
    for number, layer in enumerate(layers):
        _block(network, number, layer, reduces=number in starts)
    last = network.convolution(len(layers), MACRO_FEATURES, Window(1), Unit.CONV_NORM_RELU)
    classifier = Dense(MACRO_FEATURES, n_classes, dropout=0.0, relu=False)
    return tuple(network.nodes), Head(network.shape(last), relu=False, pools=True, layers=(classifier,))


def _block(network: _Nodes, source: int, layer: Layer, *, reduces: bool) -> int:
    """Append one block: MobileNetV2's, or the identity, which is a convolution where the shape changes."""
    shape = network.shape(source)
    channels, stride = (2 * shape[0], 2) if reduces else (shape[0], 1)
    if layer.operation is Operation.IDENTITY:
        if reduces:
            return network.convolution(source, channels, Window(1, stride), Unit.CONV_NORM)
        return network.unchanged(source)
    inner = shape[0] * MACRO_EXPANSIONS[layer.kernel]
    expand = _step(shape, inner, Window(1), Unit.CONV_NORM_RELU, relu=False)
    window = Window.same(layer.kernel, stride)
    depthwise = _step(expand.shape, inner, window, Unit.CONV_NORM_RELU, relu=False, depthwise=True)
    project = _step(depthwise.shape, channels, Window(1), Unit.CONV_NORM, relu=False)
    computes = Convolutions((expand, depthwise, project), residual=not reduces)
    return network.append(computes, (source,), project.shape)
