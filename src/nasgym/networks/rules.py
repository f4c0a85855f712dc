"""The rules by which a profile turns layers into nodes: the one place that knows shapes, widths and zeros."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import assert_never

from nasgym.architectures import Header, Layer, LeafMerge, Operation
from nasgym.core.errors import PlanError
from nasgym.networks.nodes import (
    NO_ZEROS,
    Addition,
    Concatenation,
    Convolution,
    Convolutions,
    Dense,
    Head,
    Identity,
    Image,
    Node,
    Pooling,
    Shape,
    Window,
    Zeros,
)
from nasgym.networks.profiles import DenseHead, NetworkProfile, Padding, PoolingHead, Unit, Widths


def in_force(profile: NetworkProfile, header: Header | None) -> NetworkProfile:
    """Return the profile in force: the header's base width replaces the profile's, which its cap must allow."""
    if header is None:
        return profile
    return replace(profile, base_width=header.base_width, width_cap=max(profile.width_cap, header.base_width))


def first_node(input_shape: tuple[int, int, int], profile: NetworkProfile, header: Header | None) -> Node:
    """Return node 0: the image, or the stem where there is a header."""
    height, width, channels = input_shape
    if min(input_shape) < 1:
        raise PlanError(
            f"An image of {height}×{width} pixels with {channels} channels cannot be planned for; "
            "height, width and channels must be at least 1.",
            layer=0,
        )
    if header is None:
        return Node(0, Image(), (), (channels, height, width), level=0, raw=True)
    window = Window.same(5 if header.stem_stride >= 4 else 3, header.stem_stride)
    shape = (header.base_width, window.output(height), window.output(width))
    stem = Convolution(window, channels, shape, profile.unit, relu=False)
    return Node(0, Convolutions((stem,)), (), shape, level=0, raw=False)


def layer_node(layer: Layer, nodes: Sequence[Node], input_shape: tuple[int, int, int], profile: NetworkProfile) -> Node:
    """Return the node of `layer`, which comes after `nodes`."""
    index = len(nodes)
    source = nodes[layer.inputs[0]]
    match layer.operation:
        case Operation.CONVOLUTION | Operation.SEPARABLE | Operation.REDUCTION:
            return _convolutions(layer, nodes, input_shape, profile)
        case Operation.MAX_POOLING | Operation.AVERAGE_POOLING:
            window = _window(layer.kernel, layer.kernel, False)
            size = _slide(window, layer, index, source, input_shape)
            average = layer.operation is Operation.AVERAGE_POOLING
            level = source.level + (layer.kernel > 1)
            return Node(index, Pooling(window, average), layer.inputs, (source.shape[0], *size), level, source.raw)
        case Operation.IDENTITY:
            return Node(index, Identity(), layer.inputs, source.shape, source.level, source.raw)
        case Operation.ADDITION | Operation.CONCATENATION:
            adds = layer.operation is Operation.ADDITION
            return _merge(index, [nodes[number] for number in layer.inputs], profile, adds=adds)
        case _:
            raise PlanError(f"Layer {index} ({layer.token}) only exists in a fixed skeleton.", layer=index)


def _convolutions(
    layer: Layer, nodes: Sequence[Node], input_shape: tuple[int, int, int], profile: NetworkProfile
) -> Node:
    index, source = len(nodes), nodes[layer.inputs[0]]
    reduces = layer.operation is Operation.REDUCTION
    same = reduces or profile.padding is Padding.SAME
    window = _window(layer.kernel, 2 if reduces else 1, same)
    size = _slide(window, layer, index, source, input_shape)
    level = source.level + reduces
    shape = (_width(profile, level, nodes), *size)
    unit = profile.unit
    relu = unit is Unit.RELU_CONV_NORM or (unit is Unit.RELU_CONV_NORM_EXCEPT_FIRST and not source.raw)
    channels = source.shape[0]
    if layer.operation is Operation.SEPARABLE:
        depthwise = Convolution(window, channels, (channels, *size), unit, relu, depthwise=True)
        pointwise = Convolution(_window(1, 1, same), channels, shape, unit, relu=unit is not Unit.CONV_RELU)
        steps: tuple[Convolution, ...] = (depthwise, pointwise)
    else:
        steps = (Convolution(window, channels, shape, unit, relu),)
    if layer.residual and shape != source.shape:
        raise PlanError(
            f"Layer {index} ({layer.token}) cannot be residual: it turns {_size(source.shape)} "
            f"into {_size(shape)}. Drop the '+', or keep height, width and channels the same.",
            layer=index,
        )
    return Node(index, Convolutions(steps, layer.residual), layer.inputs, shape, level, raw=False)


@cache
def _window(kernel: int, stride: int, same: bool) -> Window:
    return Window.same(kernel, stride) if same else Window(kernel, stride)


def _slide(
    window: Window, layer: Layer, index: int, source: Node, input_shape: tuple[int, int, int]
) -> tuple[int, int]:
    """Return the height and width that `window` leaves of `source`."""
    _, height, width = source.shape
    size = (window.output(height), window.output(width))
    if min(size) < 1:
        raise PlanError(
            f"Layer {index} ({layer.token}) needs at least {window.kernel}×{window.kernel} pixels and gets "
            f"{height}×{width} from {f'layer {source.index}' if source.index else 'the image'}. Use fewer poolings or "
            f"smaller kernels before it, or images larger than {input_shape[0]}×{input_shape[1]}.",
            layer=index,
        )
    return size


def _width(profile: NetworkProfile, level: int, nodes: Sequence[Node]) -> int:
    """Return the output channels of a convolution that comes after `nodes`."""
    match profile.widths:
        case Widths.CONSTANT:
            return profile.base_width
        case Widths.DOUBLE_AT_POOLING:
            return min(profile.base_width << level, profile.width_cap)
        case Widths.DOUBLE_AT_CONVOLUTION:
            earlier = sum(1 for node in nodes[1:] if node.steps)
            return min(profile.base_width << earlier, profile.width_cap)
        case _:
            assert_never(profile.widths)


def _merge(index: int, sources: Sequence[Node], profile: NetworkProfile, *, adds: bool) -> Node:
    """Return the node that adds or concatenates `sources`, each padded with zeros around its centre."""
    shapes = [source.shape for source in sources]
    channels, height, width = (max(sizes) for sizes in zip(*shapes, strict=True))
    pads_channels = adds or profile.concatenation_pads_channels
    zeros = tuple(_zeros(shape, (channels if pads_channels else shape[0], height, width)) for shape in shapes)
    if not adds:
        channels = channels * len(shapes) if pads_channels else sum(shape[0] for shape in shapes)
    return Node(
        index,
        Addition(zeros) if adds else Concatenation(zeros),
        tuple(source.index for source in sources),
        (channels, height, width),
        level=max(source.level for source in sources),
        raw=all(source.raw for source in sources),
    )


def _zeros(shape: Shape, target: Shape) -> Zeros:
    """Return the zeros that centre `shape` in `target`, the odd one after."""
    if shape == target:
        return NO_ZEROS
    depth, height, width = (large - small for large, small in zip(target, shape, strict=True))
    return (width // 2, width - width // 2, height // 2, height - height // 2, depth // 2, depth - depth // 2)


def leaf_merges(nodes: Sequence[Node], leaves: Sequence[int], profile: NetworkProfile) -> list[Node]:
    """Return the concatenations of the nodes that nobody uses: none for one leaf, one, or one for each further leaf."""
    if len(leaves) == 1:
        return []
    if profile.leaves is LeafMerge.TOGETHER:
        return [_merge(len(nodes), [nodes[leaf] for leaf in leaves], profile, adds=False)]
    merges = [nodes[leaves[0]]]
    for number, leaf in enumerate(leaves[1:]):
        merges.append(_merge(len(nodes) + number, [merges[-1], nodes[leaf]], profile, adds=False))
    return merges[1:]


def head(features: Node, n_classes: int, profile: NetworkProfile, header: Header | None) -> Head:
    """Return the head on top of `features`; the header's dropout, where it has one, comes before the classifier."""
    if n_classes < 1:
        raise PlanError(f"A classifier needs at least one class, got {n_classes}.", layer=0)
    relu = profile.unit is Unit.RELU_CONV_NORM_EXCEPT_FIRST and not features.raw
    channels, height, width = features.shape
    sizes: tuple[int, ...]
    match profile.head:
        case PoolingHead(dropout, maxima):
            sizes, pools = (channels * (1 + maxima), n_classes), True
        case DenseHead(units, dropout):
            sizes, pools, maxima = (channels * height * width, *units, n_classes), False, False
        case _:
            assert_never(profile.head)
    last = len(sizes) - 2
    layers = []
    for number, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        rate = dropout if number or pools else 0.0
        if number == last and header is not None and header.dropout:
            rate = header.dropout / 100
        layers.append(Dense(inputs, outputs, rate, relu=number < last))
    return Head(features.shape, relu, pools, tuple(layers), maxima)


def _size(shape: Shape) -> str:
    channels, height, width = shape
    return f"{height}×{width} with {channels} channels"
