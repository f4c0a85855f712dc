"""The head of a network in memory: one that pools, or dense layers on a flattened feature map."""

import ctypes
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from nasgym.evaluation.native.library import Dense, Head, Workbench
from nasgym.evaluation.native.parameters import Flat, Memory
from nasgym.evaluation.native.program import LANES, Operation, occupied
from nasgym.networks.build import Classifier

SIDE = 32
"""Inputs, and outputs, of a tile of weights: `SIDE` of dense.h."""
TILES_AT_ONCE = 8
"""Tiles of inputs whose weights are rounded at once: `TILES_AT_ONCE` of dense.h."""
NOTHING = -1
"""Stands for a feature where memory holds none."""


@dataclass(frozen=True)
class PooledLayer:
    """The one dense layer of a head that pools.

    Attributes:
        module: the same in torch.
        weights: fp32, shape (features, classes).
        biases: fp32, shape (classes,).
    """

    module: nn.Linear
    weights: Tensor
    biases: Tensor

    def take(self) -> None:
        """Take over the module's parameters."""
        self.weights.copy_(self.module.weight.t())
        self.biases.copy_(self.module.bias)

    def give(self, steps: int, shrunk: float) -> None:  # noqa: ARG002 - nothing here depends on either
        """Write them back; see `Part`."""
        self.module.weight.copy_(self.weights.t())
        self.module.bias.copy_(self.biases)


@dataclass(frozen=True)
class DenseLayer:
    """A layer of a head that flattens.

    Attributes:
        module: the same in torch.
        weights: fp32, shape (tiles of inputs, tiles of outputs, inputs of a tile, outputs of a tile).
        first: Adam's mean of their gradients.
        biases: fp32, shape (outputs up to whole tiles,).
        features: int64, for each input in memory, which of the module's it is, or `NOTHING`; up to whole tiles.
    """

    module: nn.Linear
    weights: Tensor
    first: Tensor
    biases: Tensor
    features: Tensor

    def take(self) -> None:
        """Take over the module's parameters."""
        n_outputs = self.module.out_features
        down, across, *_ = self.weights.shape
        missing = self.features == NOTHING
        whole = self.module.weight.index_select(1, self.features.clamp(min=0))
        if missing.any():
            whole[:, missing] = 0.0
        if n_outputs < across * SIDE:
            whole = functional.pad(whole, (0, 0, 0, across * SIDE - n_outputs))
        self.weights.copy_(whole.view(across, SIDE, down, SIDE).permute(2, 0, 3, 1))
        self.biases[:n_outputs] = self.module.bias

    def give(self, steps: int, shrunk: float) -> None:  # noqa: ARG002 - nothing here counts steps
        """Write them back; see `Part`. Weights of features that memory does not hold have seen nothing but decay."""
        n_outputs = self.module.out_features
        whole = self.weights.permute(1, 3, 0, 2).flatten(2).flatten(0, 1)[:n_outputs]
        real = self.features != NOTHING
        if shrunk < 1.0:
            self.module.weight *= shrunk
        self.module.weight.index_copy_(1, self.features[real], whole[:, real])
        self.module.bias.copy_(self.biases[:n_outputs])


def pooled_head(
    module: Classifier, top: Head, weights: tuple[Tensor, int, int], flat: Flat, memory: Memory, batch_size: int
) -> PooledLayer:
    """Return the layer of a head that pools, and describe it in `top`."""
    matrix, top.weights, top.d_weights = weights
    biases, top.biases, top.d_biases = flat.take(top.n_classes)
    top.features, top.d_features = (memory.floats(batch_size * top.n_features) for _ in range(2))
    top.scores = memory.floats(batch_size * top.n_classes)
    return PooledLayer(module.classifier, matrix, biases)


def flattened_head(
    module: Classifier, top: Head, program: tuple[Operation, ...], flat: Flat, memory: Memory, batch_size: int
) -> list[DenseLayer]:
    """Return the layers of a head that flattens the output of `program`, and describe them in `top`."""
    last = program[-1]
    stored = features_in_memory(last, torch.from_numpy(occupied(program))).view(-1, LANES)
    (held,) = torch.nonzero((stored != NOTHING).any(dim=1), as_tuple=True)
    lanes = (stored[held] != NOTHING).long() @ (1 << torch.arange(LANES))
    blocks = held * LANES // (last.shape[2] * last.block) % last.blocks
    groups = torch.stack((held * LANES, blocks, lanes), dim=1).int()
    features = _up_to_tiles(stored[held].flatten())
    modules = [*module.hidden, module.classifier]
    layers = (Dense * len(modules))()
    top.n_layers, top.layers, top.n_groups, top.groups = len(modules), layers, len(groups), memory.keep(groups)
    memory.kept.append(layers)
    made = []
    for layer, linear, dropout in zip(layers, modules, module.dropouts, strict=True):
        assert isinstance(linear, nn.Linear)
        layer.dropout = dropout
        made.append(_dense(layer, linear, features, flat, memory, batch_size))
        features = _up_to_tiles(torch.arange(linear.out_features))
    top.scores = memory.floats(batch_size * top.n_classes)
    top.on = _workbench(layers, memory, batch_size)
    return made


def features_in_memory(last: Operation, occupied: Tensor) -> Tensor:
    """Return, for each number that is stored of one image, its index where channels come first, or `NOTHING`.

    Int64; up to whole groups of `LANES` numbers.

    Args:
        last: the operation whose output is stored.
        occupied: bool, shape (channels, height, width); what is not counts as nothing.
    """
    channels, height, width = last.shape
    whole = torch.full((last.blocks * last.block, height, width), NOTHING)
    numbers = torch.arange(channels * height * width).view(channels, height, width)
    whole[:channels] = torch.where(occupied, numbers, NOTHING)
    stored = whole.view(last.blocks, last.block, height, width).permute(2, 0, 3, 1).flatten()
    return torch.cat((stored, torch.full((-len(stored) % LANES,), NOTHING)))


def _up_to_tiles(features: Tensor) -> Tensor:
    return functional.pad(features, (0, -len(features) % SIDE), value=NOTHING)


def _dense(
    layer: Dense, module: nn.Linear, features: Tensor, flat: Flat, memory: Memory, batch_size: int
) -> DenseLayer:
    down, across = len(features) // SIDE, -(-module.out_features // SIDE)
    weights, first, second = (torch.zeros(down, across, SIDE, SIDE) for _ in range(3))
    biases, layer.biases, layer.d_biases = flat.take(across * SIDE)
    layer.n_inputs, layer.n_outputs = down * SIDE, across * SIDE
    layer.weights, layer.first, layer.second = (memory.keep(tensor) for tensor in (weights, first, second))
    images = -(-batch_size // SIDE) * SIDE
    layer.inputs = memory.halves(images * (down + 1) * SIDE)
    layer.sums = memory.floats(images * across * SIDE)
    return DenseLayer(module, weights, first, biases, features)


def _workbench(layers: ctypes.Array[Dense], memory: Memory, batch_size: int) -> Workbench:
    images = -(-batch_size // SIDE) * SIDE
    widest = max(layer.n_outputs for layer in layers)
    return Workbench(
        memory.floats(TILES_AT_ONCE * SIDE * LANES),
        memory.floats(images * widest // 2),
        memory.floats(images * widest // 2),
        memory.halves(SIDE * (widest + SIDE)),
        memory.floats(SIDE * images // 2),
        memory.floats(SIDE * images),
    )
