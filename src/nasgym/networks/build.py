"""Plan → `torch.nn.Module`. Every size is the plan's; nothing is worked out again here.

Parameters are named after the layers of the architecture: `layers.3.conv.weight`, `layers.3.norm.bias`,
`layers.4.depthwise.conv.weight`, `stem.conv.weight`, `head.hidden.0.weight`, `head.classifier.weight`.

Initial weights are drawn from the generator that is handed in and from no other: modules are made without storage,
so that torch's own initialisation never runs. Profiles with a dense head are the paper's and take Keras's start (Glorot
uniform, zero biases); the others take Kaiming normal (fan-in, ReLU) for convolutions and Glorot uniform for the
classifier. BatchNorm averages with torch's momentum 0.1 in every profile: Keras's 0.01 needs some 500 updates to
forget where it started.
"""

from collections.abc import Callable
from functools import partial
from typing import assert_never

import torch
from torch import Tensor, nn
from torch.nn import functional

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
    Zero,
    Zeros,
)
from nasgym.networks.plan import Plan
from nasgym.networks.profiles import DenseHead, Unit

Initialiser = Callable[[Tensor], object]

EPSILONS = {unit: 1e-3 if unit is Unit.RELU_CONV_NORM else 1e-5 for unit in Unit}
"""What BatchNorm adds to the variance: Keras's number in the paper's profiles, torch's elsewhere."""


class ConvolutionUnit(nn.Module):
    """ReLU, convolution and BatchNorm, as far as the plan has them, in the order of its unit.

    Maps (N, C, H, W) to (N, C', H', W').
    """

    def __init__(self, planned: Convolution, initialise: Initialiser, *, residual: bool = False) -> None:
        super().__init__()
        channels, window = planned.shape[0], planned.window
        symmetric = window.before == window.after
        self.zeros = None if symmetric else (window.before, window.after) * 2
        self.relu_first = planned.relu
        self.relu_last = planned.unit.ends_with_relu
        self.residual = residual
        self.conv = nn.Conv2d(
            planned.channels,
            channels,
            window.kernel,
            stride=window.stride,
            padding=window.before if symmetric else 0,
            groups=planned.channels if planned.depthwise else 1,
            bias=planned.unit.has_bias,
            device="meta",
        ).to_empty(device="cpu")
        initialise(self.conv.weight)
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)
        self.norm = nn.BatchNorm2d(channels, eps=EPSILONS[planned.unit]) if planned.unit.has_norm else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Return the unit's output."""
        features = functional.relu(images) if self.relu_first else images
        if self.zeros is not None:
            features = functional.pad(features, self.zeros)
        features = self.norm(self.conv(features))
        if self.relu_last:
            features = functional.relu(features)
        return features + images if self.residual else features


class SeparableUnit(nn.Module):
    """A depthwise and a pointwise convolution, each a unit of its own.

    Maps (N, C, H, W) to (N, C', H', W').
    """

    def __init__(self, planned: Convolutions, initialise: Initialiser) -> None:
        super().__init__()
        depthwise, pointwise = planned.steps
        self.residual = planned.residual
        self.depthwise = ConvolutionUnit(depthwise, initialise)
        self.pointwise = ConvolutionUnit(pointwise, initialise)

    def forward(self, images: Tensor) -> Tensor:
        """Return the unit's output."""
        features: Tensor = self.pointwise(self.depthwise(images))
        return features + images if self.residual else features


class InvertedResidual(nn.Module):
    """An expanding, a depthwise and a projecting convolution, each a unit of its own.

    Maps (N, C, H, W) to (N, C', H', W').
    """

    def __init__(self, planned: Convolutions, initialise: Initialiser) -> None:
        super().__init__()
        expand, depthwise, project = planned.steps
        self.residual = planned.residual
        self.expand = ConvolutionUnit(expand, initialise)
        self.depthwise = ConvolutionUnit(depthwise, initialise)
        self.project = ConvolutionUnit(project, initialise)

    def forward(self, images: Tensor) -> Tensor:
        """Return the block's output."""
        features: Tensor = self.project(self.depthwise(self.expand(images)))
        return features + images if self.residual else features


class PoolingLayer(nn.Module):
    """Maximum or average pooling; what lies outside of the image does not enter."""

    def __init__(self, planned: Pooling) -> None:
        super().__init__()
        self.window = planned.window
        self.average = planned.average

    def forward(self, images: Tensor) -> Tensor:
        """Return the pooled feature map."""
        window = self.window
        overhangs = window.after > window.before
        if self.average:
            return functional.avg_pool2d(
                images, window.kernel, window.stride, window.before, overhangs, count_include_pad=False
            )
        return functional.max_pool2d(images, window.kernel, window.stride, window.before, ceil_mode=overhangs)


class Nothing(nn.Module):
    """Zeros of the input's shape."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the zeros."""
        return torch.zeros_like(images)


class Merge(nn.Module):
    """Addition or concatenation of feature maps, padded with zeros to sizes that agree."""

    def __init__(self, planned: Addition | Concatenation) -> None:
        super().__init__()
        self.adds = isinstance(planned, Addition)
        self.zeros = planned.zeros

    def forward(self, *images: Tensor) -> Tensor:
        """Return the merged feature map."""
        padded = [_padded(image, zeros) for image, zeros in zip(images, self.zeros, strict=True)]
        return padded[0] + padded[1] if self.adds else torch.cat(padded, dim=1)


class Classifier(nn.Module):
    """Feature map (N, C, H, W) to class scores (N, n_classes), before the softmax."""

    def __init__(self, planned: Head, generator: torch.Generator) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(planned.features[0]) if planned.norm else nn.Identity()
        self.relu = planned.relu
        self.pools = planned.pools
        self.maxima = planned.maxima
        *hidden, last = planned.layers
        self.dropouts = [layer.dropout for layer in planned.layers]
        self.hidden = nn.ModuleList(_dense(layer, generator) for layer in hidden)
        self.classifier = _dense(last, generator)

    def forward(self, images: Tensor) -> Tensor:
        """Return the class scores."""
        features = self.norm(images)
        features = functional.relu(features) if self.relu else features
        features = self._pooled(features) if self.pools else features.flatten(1)
        for layer, dropout in zip(self.hidden, self.dropouts[:-1], strict=True):
            features = functional.relu(layer(functional.dropout(features, dropout, self.training)))
        scores: Tensor = self.classifier(functional.dropout(features, self.dropouts[-1], self.training))
        return scores

    def _pooled(self, features: Tensor) -> Tensor:
        average = features.mean(dim=(2, 3))
        return torch.cat([average, features.amax(dim=(2, 3))], dim=1) if self.maxima else average


class PlannedNetwork(nn.Module):
    """A network as planned: float images (N, C, H, W) to class scores (N, n_classes), before the softmax.

    Attributes:
        plan: what it was built from.
    """

    def __init__(self, plan: Plan, generator: torch.Generator) -> None:
        super().__init__()
        self.plan = plan
        initialise = _convolution_initialiser(plan, generator)
        self.stem = _module(plan.nodes[0], initialise)
        self.layers = nn.ModuleDict({str(node.index): _module(node, initialise) for node in plan.nodes[1:]})
        self.head = Classifier(plan.head, generator)
        self._inputs = [node.inputs for node in plan.nodes[1:]]

    def forward(self, images: Tensor) -> Tensor:
        """Return the class scores."""
        scores: Tensor = self.head(self.feature_maps(images)[-1])
        return scores

    def feature_maps(self, images: Tensor) -> list[Tensor]:
        """Return the output of every node of the plan, in order; the last one feeds the head."""
        outputs = [self.stem(images)]
        for layer, inputs in zip(self.layers.values(), self._inputs, strict=True):
            outputs.append(layer(*(outputs[source] for source in inputs)))
        return outputs


def build(plan: Plan, generator: torch.Generator) -> PlannedNetwork:
    """Return the network of `plan`, on the CPU, its initial weights drawn from `generator` (a CPU generator).

    Raises:
        PlanError: it has more parameters than its profile builds.
    """
    if plan.exceeds_cap:
        raise PlanError(
            f"The network has {plan.parameters:,} parameters and profile {plan.profile.name!r} builds at most "
            f"{plan.profile.max_parameters:,}; add poolings before the head, or use a profile that pools there.",
            layer=0,
        )
    return PlannedNetwork(plan, generator)


def _module(node: Node, initialise: Initialiser) -> nn.Module:
    planned = node.computes
    match planned:
        case Image() | Identity():
            return nn.Identity()
        case Convolutions(steps=(step,)):
            return ConvolutionUnit(step, initialise, residual=planned.residual)
        case Convolutions(steps=(_, _)):
            return SeparableUnit(planned, initialise)
        case Convolutions():
            return InvertedResidual(planned, initialise)
        case Zero():
            return Nothing()
        case Pooling():
            return PoolingLayer(planned)
        case Addition() | Concatenation():
            return Merge(planned)
        case _:
            assert_never(planned)


def _convolution_initialiser(plan: Plan, generator: torch.Generator) -> Initialiser:
    if isinstance(plan.profile.head, DenseHead):
        return partial(nn.init.xavier_uniform_, generator=generator)
    return partial(nn.init.kaiming_normal_, nonlinearity="relu", generator=generator)


def _dense(planned: Dense, generator: torch.Generator) -> nn.Linear:
    layer = nn.Linear(planned.inputs, planned.outputs, device="meta").to_empty(device="cpu")
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer


def _padded(images: Tensor, zeros: Zeros) -> Tensor:
    """Return `images` with zeros around them; channels are left alone where they can be."""
    if zeros == NO_ZEROS:
        return images
    return functional.pad(images, zeros if any(zeros[4:]) else zeros[:4])
