"""Network profiles: how an architecture becomes a network. Plain values; no torch."""

from dataclasses import dataclass
from enum import Enum

from nasgym.architectures import LeafMerge


class Widths(Enum):
    """Rule for the number of filters of a convolution."""

    CONSTANT = "constant"
    """Always the base width (32 in the paper)."""
    DOUBLE_AT_POOLING = "double-at-pooling"
    """The base width, doubled for every pooling on the way, up to the cap."""
    DOUBLE_AT_CONVOLUTION = "double-at-convolution"
    """The base width, doubled at every convolution in index order, up to the cap (SPEC §4, intensive)."""


class Padding(Enum):
    """What convolutions do at the border."""

    VALID = "valid"
    SAME = "same"


class Unit(Enum):
    """Order of the parts of a convolution unit."""

    RELU_CONV_NORM = "relu-conv-norm"
    """Pre-activation, as in the paper."""
    RELU_CONV_NORM_EXCEPT_FIRST = "relu-conv-norm-except-first"
    """The same, without the ReLU on the input image, and one before the head."""
    CONV_RELU = "conv-relu"
    """No normalisation: the VGG-like human baseline."""


@dataclass(frozen=True, slots=True)
class DenseHead:
    """Flatten, then fully connected layers with ReLU, each followed by dropout, then the classifier.

    Attributes:
        units: width of each hidden layer.
        dropout: probability of dropping a hidden unit.
    """

    units: tuple[int, ...]
    dropout: float


@dataclass(frozen=True, slots=True)
class PoolingHead:
    """Global average pooling, dropout, then the classifier.

    Attributes:
        dropout: probability of dropping a feature.
    """

    dropout: float = 0.0


@dataclass(frozen=True, slots=True)
class NetworkProfile:
    """How an architecture becomes a network; part of an estimator's fingerprint.

    Attributes:
        name: what users call it.
        padding: of convolutions; poolings are always VALID with stride = kernel.
        unit: order of the parts of a convolution unit.
        widths: rule for the number of filters.
        base_width: filters of the first convolution.
        width_cap: largest number of filters the rule may give.
        concatenation_pads_channels: whether concatenation pads channels too, giving 2·max channels (paper).
        leaves: how unused layers are concatenated before the head.
        head: what turns the last feature map into class scores.
        max_parameters: safety cap; larger networks are not built.
    """

    name: str
    padding: Padding
    unit: Unit
    widths: Widths
    base_width: int
    width_cap: int
    concatenation_pads_channels: bool
    leaves: LeafMerge
    head: DenseHead | PoolingHead
    max_parameters: int


PAPER = NetworkProfile(
    name="paper",
    padding=Padding.VALID,
    unit=Unit.RELU_CONV_NORM,
    widths=Widths.CONSTANT,
    base_width=32,
    width_cap=32,
    concatenation_pads_channels=True,
    leaves=LeafMerge.PAIRWISE,
    head=DenseHead(units=(1024,), dropout=0.4),
    max_parameters=400_000_000,
)
"""The networks of arXiv 1911.03769, §4.1."""

DEFAULT = NetworkProfile(
    name="default",
    padding=Padding.SAME,
    unit=Unit.RELU_CONV_NORM_EXCEPT_FIRST,
    widths=Widths.DOUBLE_AT_POOLING,
    base_width=16,
    width_cap=256,
    concatenation_pads_channels=False,
    leaves=LeafMerge.TOGETHER,
    head=PoolingHead(),
    max_parameters=100_000_000,
)
"""Our own: depth is not bounded by resolution, width grows as the image shrinks, and the head is light."""
