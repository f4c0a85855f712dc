"""What a plan is made of: each node of a network with its shapes, on integers. Plain values; no torch.

Shapes are (channels, height, width). A node's costs count what is stored and computed for one image:
parameters are the trainable ones, FLOPs those of convolutions and dense layers (a multiply-add is two;
biases, BatchNorm, ReLU, poolings, padding and merges are not counted), as `torch.utils.flop_counter` counts them.
"""

from dataclasses import dataclass
from math import prod

from nasgym.networks.profiles import Unit

Shape = tuple[int, int, int]
"""Channels, height, width."""

Zeros = tuple[int, int, int, int, int, int]
"""Zeros put around an input: left, right, top, bottom, channels before, channels after (`F.pad`'s order)."""

NO_ZEROS: Zeros = (0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Window:
    """A square window that slides over an image.

    Attributes:
        kernel: side, pixels.
        stride: step, pixels.
        before: zeros to the left and on top.
        after: zeros to the right and below.
    """

    kernel: int
    stride: int = 1
    before: int = 0
    after: int = 0

    @classmethod
    def same(cls, kernel: int, stride: int = 1) -> "Window":
        """Return the window whose output has `ceil(size / stride)` pixels; an even kernel's odd zero comes after."""
        return cls(kernel, stride, (kernel - 1) // 2, kernel // 2)

    def output(self, size: int) -> int:
        """Return the number of positions along a side of `size` pixels; below 1 where the window does not fit."""
        return (size + self.before + self.after - self.kernel) // self.stride + 1


@dataclass(frozen=True, slots=True)
class Convolution:
    """One convolution with what surrounds it: ReLU, BatchNorm, bias.

    Attributes:
        window: kernel, stride and zeros.
        channels: input channels.
        shape: of the output.
        unit: order of the parts.
        relu: whether a ReLU comes first.
        depthwise: whether each channel is convolved by itself.
    """

    window: Window
    channels: int
    shape: Shape
    unit: Unit
    relu: bool
    depthwise: bool = False

    @property
    def weights(self) -> int:
        """Entries of the kernel."""
        return self.shape[0] * (1 if self.depthwise else self.channels) * self.window.kernel**2

    @property
    def parameters(self) -> int:
        """Kernel, bias, and BatchNorm's scale and shift."""
        return self.weights + self.shape[0] * (self.unit.has_bias + 2 * self.unit.has_norm)

    @property
    def biases(self) -> int:
        """Biases left when BatchNorm is folded into the convolution."""
        return self.shape[0] if self.unit.has_norm or self.unit.has_bias else 0

    @property
    def flops(self) -> int:
        """Twice the multiply-adds."""
        return 2 * self.weights * self.shape[1] * self.shape[2]


@dataclass(frozen=True, slots=True)
class Image:
    """The input image itself."""


@dataclass(frozen=True, slots=True)
class Zero:
    """Zeros of the input's shape."""


@dataclass(frozen=True, slots=True)
class Convolutions:
    """One convolution, the two of a depthwise-separable one, or the three of an inverted residual block.

    Attributes:
        steps: in order.
        residual: whether the input is added to the output.
    """

    steps: tuple[Convolution, ...]
    residual: bool = False


@dataclass(frozen=True, slots=True)
class Pooling:
    """Maximum or average over a window.

    Attributes:
        window: stride equals kernel and nothing is around the image, but in fixed skeletons; what lies outside of
            the image does not enter an average.
        average: average, rather than maximum.
    """

    window: Window
    average: bool


@dataclass(frozen=True, slots=True)
class Identity:
    """The input, unchanged."""


@dataclass(frozen=True, slots=True)
class Addition:
    """The sum of two inputs.

    Attributes:
        zeros: around each input, so that the shapes agree.
    """

    zeros: tuple[Zeros, ...]


@dataclass(frozen=True, slots=True)
class Concatenation:
    """Inputs stacked along the channels, in order.

    Attributes:
        zeros: around each input, so that heights and widths agree.
    """

    zeros: tuple[Zeros, ...]


Computation = Image | Convolutions | Pooling | Identity | Zero | Addition | Concatenation


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a planned network.

    Attributes:
        index: 0 is the image, or the stem where there is one; then the layers; then the merges of the leaves.
        computes: what it does to its inputs.
        inputs: indices of earlier nodes, in order.
        shape: of the output.
        level: poolings and stride-2 convolutions on the way from the image; the largest over the inputs of a merge.
        raw: whether no convolution lies on the way.
    """

    index: int
    computes: Computation
    inputs: tuple[int, ...]
    shape: Shape
    level: int
    raw: bool

    @property
    def steps(self) -> tuple[Convolution, ...]:
        """The convolutions in it."""
        return self.computes.steps if isinstance(self.computes, Convolutions) else ()

    @property
    def parameters(self) -> int:
        """Trainable parameters."""
        return sum(step.parameters for step in self.steps)

    @property
    def flops(self) -> int:
        """FLOPs for one image."""
        return sum(step.flops for step in self.steps)


@dataclass(frozen=True, slots=True)
class Dense:
    """One fully connected layer, with a bias.

    Attributes:
        inputs: features.
        outputs: units.
        dropout: probability of dropping an input.
        relu: whether a ReLU follows.
    """

    inputs: int
    outputs: int
    dropout: float
    relu: bool

    @property
    def weights(self) -> int:
        """Entries of the matrix."""
        return self.inputs * self.outputs

    @property
    def biases(self) -> int:
        """One per unit."""
        return self.outputs

    @property
    def parameters(self) -> int:
        """Matrix and biases."""
        return self.weights + self.biases

    @property
    def flops(self) -> int:
        """Twice the multiply-adds."""
        return 2 * self.weights


@dataclass(frozen=True, slots=True)
class Head:
    """What turns the last feature map into class scores.

    Attributes:
        features: shape of the feature map.
        relu: whether a ReLU comes first.
        pools: whether each channel is averaged over the image; otherwise the map is flattened.
        layers: fully connected layers, the classifier last.
        maxima: whether, where it pools, the maxima of the channels follow their averages.
        norm: whether a BatchNorm comes before everything else.
    """

    features: Shape
    relu: bool
    pools: bool
    layers: tuple[Dense, ...]
    maxima: bool = False
    norm: bool = False

    @property
    def norm_parameters(self) -> int:
        """Scale and shift of the BatchNorm, which has no convolution to be folded into."""
        return 2 * self.features[0] if self.norm else 0

    @property
    def n_features(self) -> int:
        """Features that reach the first dense layer."""
        return self.features[0] * (1 + self.maxima) if self.pools else prod(self.features)

    @property
    def parameters(self) -> int:
        """Trainable parameters."""
        return sum(layer.parameters for layer in self.layers) + self.norm_parameters

    @property
    def flops(self) -> int:
        """FLOPs for one image."""
        return sum(layer.flops for layer in self.layers)
