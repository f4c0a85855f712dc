"""Where the compiled code finds a network: feature maps, parameters and scratch, one tensor each."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from nasgym.evaluation.native.library import Head, Network, Node
from nasgym.evaluation.native.program import LANES, Kind, Operation
from nasgym.networks.build import PlannedNetwork

MARGIN = 64
"""Numbers to spare behind every feature map: vectors are read whole."""
PAIRS = 128
"""Pairs of columns for which gradients of weights are summed at once: `PAIRS_AT_ONCE` of training.c."""


@dataclass(frozen=True)
class Unit:
    """A convolution with its BatchNorm, as a module and as the compiled code has it.

    Attributes:
        kernel: the module's, shape (outputs, inputs, side, side).
        norm: the module's BatchNorm.
        weights: fp32, shape (side, blocks, side, channels of a block, outputs up to whole blocks).
        vectors: scale, shift, running mean and running variance, each with one number an output.
    """

    kernel: Tensor
    norm: nn.BatchNorm2d
    weights: Tensor
    vectors: tuple[Tensor, ...]

    def take(self) -> None:
        """Take over the module's parameters and statistics."""
        outputs, inputs, side, _ = self.kernel.shape
        _, blocks, _, block, width = self.weights.shape
        whole = torch.zeros(side, blocks * block, side, width)
        whole[:, :inputs, :, :outputs] = self.kernel.permute(2, 1, 3, 0)
        self.weights.copy_(whole.view(side, blocks, block, side, width).permute(0, 1, 3, 2, 4))
        for own, other in zip(self.vectors, _vectors(self.norm), strict=True):
            own[:outputs] = other

    def give(self, steps: int) -> None:
        """Write them back, as they are after `steps` steps."""
        outputs, inputs, side, _ = self.kernel.shape
        _, blocks, _, block, width = self.weights.shape
        whole = self.weights.permute(0, 1, 3, 2, 4).reshape(side, blocks * block, side, width)
        self.kernel.copy_(whole[:, :inputs, :, :outputs].permute(3, 1, 0, 2))
        for own, other in zip(self.vectors, _vectors(self.norm), strict=True):
            other.copy_(own[:outputs])
        if self.norm.num_batches_tracked is not None:
            self.norm.num_batches_tracked.fill_(steps)


def _vectors(norm: nn.BatchNorm2d) -> tuple[Tensor, ...]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return norm.weight, norm.bias, norm.running_mean, norm.running_var


@dataclass
class _Flat:
    """Parameters one after the other, and what the optimizer keeps of each."""

    whole: tuple[Tensor, Tensor, Tensor, Tensor]
    taken: int = 0

    def take(self, *shape: int) -> tuple[Tensor, int, int]:
        """Return the next parameter, its address and that of its gradient."""
        count = int(torch.Size(shape).numel())
        parameter, gradient = (flat[self.taken : self.taken + count] for flat in self.whole[:2])
        self.taken += count
        return parameter.view(shape), parameter.data_ptr(), gradient.data_ptr()


@dataclass
class Layout:
    """A network in memory.

    Attributes:
        net: what the compiled code is handed; points into the rest, which must outlive it.
        parameters: fp32, all of them one after the other.
        gradients: the same of the last step.
        units: its convolutions.
        head_weights: fp32, shape (features, classes).
        head_biases: fp32, shape (classes,).
    """

    net: Network
    parameters: Tensor
    gradients: Tensor
    units: list[Unit]
    head_weights: Tensor
    head_biases: Tensor
    _kept: list[object] = field(default_factory=list)

    @classmethod
    def of(cls, network: PlannedNetwork, program: tuple[Operation, ...], batch_size: int) -> "Layout":
        """Return memory for `network` and batches of up to `batch_size` images; parameters are still zero."""
        head = network.plan.head
        convolutions = [operation for operation in program if operation.kind is Kind.CONVOLUTION]
        n_classes, n_features = head.layers[-1].outputs, head.n_features
        decayed = sum(_weights(program, operation) for operation in convolutions) + n_features * n_classes
        size = decayed + sum(2 * _width(operation) for operation in convolutions) + n_classes
        whole = (torch.zeros(size), torch.zeros(size), torch.zeros(size), torch.zeros(size))
        flat, nodes = _Flat(whole), (Node * len(program))()
        net = Network(len(program), nodes, n_decayed=decayed, n_parameters=size)
        net.parameters, net.gradients, net.first, net.second = (tensor.data_ptr() for tensor in whole)
        layout = cls(net, *whole[:2], [], *(torch.empty(0),) * 2, [whole, nodes])
        kernels = [flat.take(*_kernel_shape(program, operation)) for operation in convolutions]
        layout.head_weights, weights, d_weights = flat.take(n_features, n_classes)
        for node, operation in zip(nodes, program, strict=True):
            layout._describe(node, operation, batch_size)
            if operation.kind is Kind.CONVOLUTION:
                kernel = kernels[len(layout.units)]
                layout._add_unit(node, operation, program[operation.inputs[0]], kernel, flat, network, batch_size)
        layout.head_biases, biases, d_biases = flat.take(n_classes)
        layout.net.top = Head(
            *(len(program) - 1, head.relu, head.maxima, n_features, n_classes),
            *(weights, biases, d_weights, d_biases),
            *(layout._floats(batch_size * count) for count in (n_features, n_features, n_classes)),
        )
        layout._scratch(program)
        return layout

    def _describe(self, node: Node, operation: Operation, batch_size: int) -> None:
        node.kind, node.kernel, node.relu, node.learns = (
            *(operation.kind, operation.kernel),
            *(operation.relu, operation.learns),
        )
        node.channels, node.height, node.width = operation.shape
        node.block, node.blocks, node.n_inputs = operation.block, operation.blocks, len(operation.inputs)
        for number, source in enumerate(operation.inputs):
            node.inputs[number] = source
            if operation.places:
                node.top[number], node.left[number], node.channel[number] = operation.places[number]
        node.value = self._halves(batch_size * operation.elements)
        if operation.learns:
            node.gradient = self._halves(batch_size * operation.elements)

    def _add_unit(
        self,
        node: Node,
        operation: Operation,
        source: Operation,
        kernel: tuple[Tensor, int, int],
        flat: _Flat,
        network: PlannedNetwork,
        batch_size: int,
    ) -> None:
        weights, node.weights, node.d_weights = kernel
        width, lines = _width(operation), batch_size * operation.shape[1] * (operation.shape[2] + operation.kernel - 1)
        gamma, node.gamma, node.d_gamma = flat.take(width)
        beta, node.beta, node.d_beta = flat.take(width)
        mean, variance = torch.zeros(width), torch.zeros(width)
        node.running_mean, node.running_variance = mean.data_ptr(), variance.data_ptr()
        node.scale, node.shift, node.mean, node.deviation = (self._floats(width) for _ in range(4))
        node.input = self._halves(lines * source.blocks * source.block)
        node.output = self._halves(lines * width)
        node.rounded, node.forward, node.backward = (self._halves(weights.numel()) for _ in range(3))
        module = network.stem if operation.node == 0 else network.layers[str(operation.node)]
        norm = module.get_submodule("norm")
        assert isinstance(norm, nn.BatchNorm2d)
        node.epsilon = norm.eps
        self._kept.extend((mean, variance))
        self.units.append(Unit(module.get_parameter("conv.weight"), norm, weights, (gamma, beta, mean, variance)))

    def _scratch(self, program: tuple[Operation, ...]) -> None:
        inputs = outputs = descents = 0
        for operation in program:
            if operation.kind is not Kind.CONVOLUTION:
                continue
            source, (_, height, width), reach = program[operation.inputs[0]], operation.shape, operation.kernel // 2
            columns = (width + 1) // 2
            rows = min(height, PAIRS // columns + 1)
            images = 1 if rows < height else PAIRS // (height * columns) + 1
            line = source.blocks * source.block * (width + 2 * reach)
            inputs = max(inputs, images * min(height, rows + 2 * reach) * line)
            outputs = max(outputs, images * rows * columns * _width(operation))
            descents = max(descents, 3 * _width(operation))
        self.net.input_pairs, self.net.output_pairs = self._floats(inputs), self._floats(outputs)
        self.net.descents = self._floats(descents)

    def _floats(self, count: int) -> int:
        return self._keep(torch.zeros(count + MARGIN))

    def _halves(self, count: int) -> int:
        return self._keep(torch.zeros(count + MARGIN, dtype=torch.int16))

    def _keep(self, tensor: Tensor) -> int:
        self._kept.append(tensor)
        return tensor.data_ptr()


def _width(operation: Operation) -> int:
    return operation.blocks * LANES


def _kernel_shape(program: tuple[Operation, ...], operation: Operation) -> tuple[int, ...]:
    source, side = program[operation.inputs[0]], operation.kernel
    return side, source.blocks, side, source.block, _width(operation)


def _weights(program: tuple[Operation, ...], operation: Operation) -> int:
    return int(torch.Size(_kernel_shape(program, operation)).numel())
