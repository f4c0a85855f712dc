"""Where the compiled code finds a network: feature maps, parameters and scratch, one tensor each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from nasgym.evaluation.native.heads import SIDE, flattened_head, pooled_head
from nasgym.evaluation.native.library import Head, Network, Node
from nasgym.evaluation.native.parameters import Flat, Memory
from nasgym.evaluation.native.program import LANES, Kind, Operation
from nasgym.networks.build import ConvolutionUnit, PlannedNetwork

PAIRS = 128
"""Pairs of columns for which gradients of weights are summed at once: `PAIRS_AT_ONCE` of vectors.h."""
PIXELS = 2048
"""Of a grid, for which they are summed at once: `PIXELS_AT_ONCE` of tiled_convolution.h."""
DEPTH = 32
"""Numbers that one product of tiles sums over: `DEPTH` of tiles.h."""
SPARE = 96
"""Pixels behind a grid: `SPARE` of tiled_convolution.h."""


class Part(Protocol):
    """A part of a network that has parameters, as a module and as the compiled code has it."""

    def take(self) -> None:
        """Take over the module's parameters and statistics."""
        ...

    def give(self, steps: int, shrunk: float) -> None:
        """Write them back.

        Args:
            steps: taken so far.
            shrunk: what weight decay alone has left of a weight since they were last taken or given.
        """
        ...


@dataclass(frozen=True)
class Unit:
    """A convolution with its BatchNorm, or with its bias.

    A bias before a BatchNorm stays as it is, since its gradient is zero; the running mean has it where torch has it.

    Attributes:
        module: the same in torch.
        weights: fp32, shape (side, blocks, side, channels of a block, outputs up to whole blocks).
        scale: of the BatchNorm; fp32, one number an output, as the others.
        shift: of the BatchNorm; the bias where there is none.
        mean: running.
        variance: running.
    """

    module: ConvolutionUnit
    weights: Tensor
    scale: Tensor
    shift: Tensor
    mean: Tensor
    variance: Tensor

    def take(self) -> None:
        """Take over the module's parameters and statistics."""
        outputs, inputs, side, _ = self.module.conv.weight.shape
        _, blocks, _, block, width = self.weights.shape
        whole = torch.zeros(side, blocks * block, side, width)
        whole[:, :inputs, :, :outputs] = self.module.conv.weight.permute(2, 1, 3, 0)
        self.weights.copy_(whole.view(side, blocks, block, side, width).permute(0, 1, 3, 2, 4))
        for own, other in self._vectors():
            own[:outputs] = other
        if isinstance(self.module.norm, nn.BatchNorm2d) and self.module.conv.bias is not None:
            self.mean[:outputs] -= self.module.conv.bias

    def give(self, steps: int, shrunk: float) -> None:  # noqa: ARG002 - every weight of it is here
        """Write them back; see `Part`."""
        outputs, inputs, side, _ = self.module.conv.weight.shape
        _, blocks, _, block, width = self.weights.shape
        whole = self.weights.permute(0, 1, 3, 2, 4).reshape(side, blocks * block, side, width)
        self.module.conv.weight.copy_(whole[:, :inputs, :, :outputs].permute(3, 1, 0, 2))
        for own, other in self._vectors():
            other.copy_(own[:outputs])
        norm = self.module.norm
        if isinstance(norm, nn.BatchNorm2d):
            if self.module.conv.bias is not None and norm.running_mean is not None:
                norm.running_mean += self.module.conv.bias
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked.fill_(steps)

    def _vectors(self) -> Sequence[tuple[Tensor, Tensor]]:
        norm, bias = self.module.norm, self.module.conv.bias
        if not isinstance(norm, nn.BatchNorm2d):
            assert bias is not None
            return ((self.shift, bias),)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        return (
            *((self.scale, norm.weight), (self.shift, norm.bias)),
            *((self.mean, norm.running_mean), (self.variance, norm.running_var)),
        )


@dataclass
class Layout:
    """A network in memory.

    Attributes:
        net: what the compiled code is handed; points into the rest, which must outlive it.
        parameters: fp32, one after the other; all but the weights of a head that flattens.
        gradients: the same of the last step.
        parts: its convolutions in order, then the layers of its head.
    """

    net: Network
    parameters: Tensor
    gradients: Tensor
    parts: list[Part]
    _memory: Memory

    @classmethod
    def of(cls, network: PlannedNetwork, program: tuple[Operation, ...], batch_size: int) -> "Layout":
        """Return memory for `network` and batches of up to `batch_size` images; parameters are still zero."""
        head = network.plan.head
        convolutions = [operation for operation in program if operation.kind is Kind.CONVOLUTION]
        n_classes, n_features = head.layers[-1].outputs, head.n_features
        decayed = sum(_weights(program, operation) for operation in convolutions)
        decayed += n_features * n_classes if head.pools else 0
        biases = n_classes if head.pools else sum(-(-layer.outputs // SIDE) * SIDE for layer in head.layers)
        size = decayed + sum((1 + operation.normalises) * _width(operation) for operation in convolutions) + biases
        whole = (torch.zeros(size), torch.zeros(size), torch.zeros(size), torch.zeros(size))
        flat, nodes = Flat(whole), (Node * len(program))()
        net = Network(len(program), nodes, n_decayed=decayed, n_parameters=size)
        net.parameters, net.gradients, net.first, net.second = (tensor.data_ptr() for tensor in whole)
        layout = cls(net, *whole[:2], [], Memory([whole, nodes]))
        kernels = [flat.take(*_kernel_shape(program, operation)) for operation in convolutions]
        matrix = flat.take(n_features, n_classes) if head.pools else None
        for node, operation in zip(nodes, program, strict=True):
            layout._describe(node, operation, batch_size)
            if operation.kind is Kind.CONVOLUTION:
                kernel = kernels[len(layout.parts)]
                layout._add_unit(node, operation, program[operation.inputs[0]], kernel, flat, network, batch_size)
        net.top = Head(len(program) - 1, head.relu, head.maxima, n_features, n_classes)
        if matrix is not None:
            layout.parts.append(pooled_head(network.head, net.top, matrix, flat, layout._memory, batch_size))
        else:
            layout.parts += flattened_head(network.head, net.top, program, flat, layout._memory, batch_size)
        layout._scratch(program, batch_size)
        return layout

    def _describe(self, node: Node, operation: Operation, batch_size: int) -> None:
        node.kind, node.kernel, node.margin, node.relu, node.learns = (
            *(operation.kind, operation.kernel, operation.margin),
            *(operation.relu, operation.learns),
        )
        node.channels, node.height, node.width = operation.shape
        node.block, node.blocks, node.n_inputs = operation.block, operation.blocks, len(operation.inputs)
        for number, source in enumerate(operation.inputs):
            node.inputs[number] = source
            if operation.places:
                node.top[number], node.left[number], node.channel[number] = operation.places[number]
        node.value = self._memory.halves(batch_size * operation.elements)
        if operation.learns:
            node.gradient = self._memory.halves(batch_size * operation.elements)

    def _add_unit(
        self,
        node: Node,
        operation: Operation,
        source: Operation,
        kernel: tuple[Tensor, int, int],
        flat: Flat,
        network: PlannedNetwork,
        batch_size: int,
    ) -> None:
        weights, node.weights, node.d_weights = kernel
        width, reach = _width(operation), operation.kernel - 1
        scale, mean, variance = torch.ones(width), torch.zeros(width), torch.zeros(width)
        if operation.normalises:
            scale, node.gamma, node.d_gamma = flat.take(width)
            node.scale, node.shift, node.mean, node.deviation = (self._memory.floats(width) for _ in range(4))
            node.running_mean, node.running_variance = self._memory.keep(mean), self._memory.keep(variance)
        shift, node.beta, node.d_beta = flat.take(width)
        (_, in_height, in_width), (_, height, out_width) = source.shape, operation.shape
        channels, grid = source.blocks * source.block, _Grid.of(operation, source, batch_size)
        in_rows, in_grid = batch_size * in_height * (out_width + reach), grid.pixels
        out_rows, out_grid = batch_size * height * (in_width + reach), grid.pixels
        node.input = self._memory.halves(max(in_rows, in_grid) * channels)
        node.output = self._memory.halves(max(out_rows, out_grid) * width)
        node.rounded = self._memory.halves(weights.numel())
        node.forward = self._memory.halves(_tiled(operation.kernel, channels, width))
        node.backward = self._memory.halves(_tiled(operation.kernel, width, channels))
        module = network.stem if operation.node == 0 else network.layers[str(operation.node)]
        assert isinstance(module, ConvolutionUnit)
        if isinstance(module.norm, nn.BatchNorm2d):
            node.epsilon = module.norm.eps
        self.parts.append(Unit(module, weights, scale, shift, mean, variance))

    def _scratch(self, program: tuple[Operation, ...], batch_size: int) -> None:
        inputs = outputs = descents = 0
        for operation in program:
            if operation.kind is not Kind.CONVOLUTION:
                continue
            source, (_, height, width), reach = program[operation.inputs[0]], operation.shape, operation.kernel - 1
            columns = (width + 1) // 2
            rows = min(height, PAIRS // columns + 1)
            images = 1 if rows < height else PAIRS // (height * columns) + 1
            line = source.blocks * source.block * (width + reach)
            grid = _Grid.of(operation, source, batch_size)
            inputs = max(inputs, images * min(source.shape[1], rows + reach) * line, grid.left)
            outputs = max(outputs, images * rows * columns * _width(operation), grid.right)
            descents = max(descents, 3 * _width(operation))
        self.net.on.inputs, self.net.on.outputs = self._memory.floats(inputs), self._memory.floats(outputs)
        self.net.on.descents, self.net.on.capacity = self._memory.floats(descents), batch_size


@dataclass(frozen=True)
class _Grid:
    """What tiled_convolution.h needs room for.

    Attributes:
        pixels: on which input, or gradient of the output, lies; all images, and what may be read behind them.
        left: scratch for inputs, in numbers of four bytes.
        right: likewise for gradients of the output.
    """

    pixels: int
    left: int
    right: int

    @classmethod
    def of(cls, operation: Operation, source: Operation, batch_size: int) -> "_Grid":
        _, height, width = source.shape
        kernel, down, across = operation.kernel, height + operation.margin, width + operation.margin
        at_once = max(1, min(batch_size, PIXELS // (down * across)))
        whole = _up_to(at_once * down * across, DEPTH)
        stride = _up_to(whole + (kernel - 1) * (across + 1), DEPTH) + 2 * DEPTH
        rows = source.blocks * source.block * (1 if source.block == LANES else kernel)
        return cls(
            pixels=batch_size * down * across + kernel * (across + 1) + SPARE,
            left=(rows * stride + LANES) // 2,
            right=_width(operation) * whole // 2,
        )


def _up_to(count: int, whole: int) -> int:
    return -(-count // whole) * whole


def _tiled(kernel: int, inputs: int, outputs: int) -> int:
    """Return how many numbers the weights of a convolution take as tiles, zeros included."""
    lanes = inputs if inputs < LANES else 2 * LANES if inputs % (2 * LANES) == 0 else LANES
    tiles = kernel * (inputs // lanes) * -(-kernel * lanes // DEPTH) * -(-outputs // LANES)
    return tiles * DEPTH * LANES


def _width(operation: Operation) -> int:
    return operation.blocks * LANES


def _kernel_shape(program: tuple[Operation, ...], operation: Operation) -> tuple[int, ...]:
    source, side = program[operation.inputs[0]], operation.kernel
    return side, source.blocks, side, source.block, _width(operation)


def _weights(program: tuple[Operation, ...], operation: Operation) -> int:
    return int(torch.Size(_kernel_shape(program, operation)).numel())
