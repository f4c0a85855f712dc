"""Network profiles: how an architecture becomes a network. Plain values; no torch."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from types import MappingProxyType

from nasgym.architectures import Architecture, LeafMerge, parse_architecture
from nasgym.core.errors import ConfigurationError, nearest


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
    CONV_NORM_RELU = "conv-norm-relu"
    """Post-activation: fixed skeletons only, as the two below."""
    CONV_NORM = "conv-norm"
    CONV = "conv"

    @property
    def has_norm(self) -> bool:
        """Whether a BatchNorm follows the convolution."""
        return self not in (Unit.CONV_RELU, Unit.CONV)

    @property
    def ends_with_relu(self) -> bool:
        """Whether a ReLU comes last."""
        return self in (Unit.CONV_RELU, Unit.CONV_NORM_RELU)

    @property
    def has_bias(self) -> bool:
        """Whether the convolution has a bias; the paper's has one (Keras), though a BatchNorm follows."""
        return self in (Unit.RELU_CONV_NORM, Unit.CONV_RELU)


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
    """Global pooling, dropout, then the classifier.

    Attributes:
        dropout: probability of dropping a feature.
        maxima: whether the maximum of every channel stands beside its average, twice as many features.
    """

    dropout: float = 0.0
    maxima: bool = False


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
        max_parameters: safety cap; larger networks are planned but not built.
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

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change whenever any field does."""
        return hashlib.sha256(_text(self).encode()).hexdigest()[:16]


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
    head=PoolingHead(maxima=True),
    max_parameters=100_000_000,
)
"""Our own: depth is not bounded by resolution, width grows as the image shrinks, and the head is light."""

PAPER_INTENSIVE = NetworkProfile(
    name="paper-intensive",
    padding=Padding.VALID,
    unit=Unit.RELU_CONV_NORM,
    widths=Widths.DOUBLE_AT_CONVOLUTION,
    base_width=32,
    width_cap=32 * 2**9,
    concatenation_pads_channels=True,
    leaves=LeafMerge.PAIRWISE,
    head=DenseHead(units=(4096,), dropout=0.4),
    max_parameters=400_000_000,
)
"""The networks of §6.1, Experiment 2: 2^(4+i) filters in the i-th convolution, of ten at most; a wider dense layer."""

VGG19_LIKE = NetworkProfile(
    name="vgg19-like",
    padding=Padding.SAME,
    unit=Unit.CONV_RELU,
    widths=Widths.DOUBLE_AT_POOLING,
    base_width=64,
    width_cap=128,
    concatenation_pads_channels=False,
    leaves=LeafMerge.TOGETHER,
    head=DenseHead(units=(4096, 4096), dropout=0.0),
    max_parameters=400_000_000,
)
"""The human baseline of §6.1: see `NAMED_ARCHITECTURES`."""

PROFILES: Mapping[str, NetworkProfile] = MappingProxyType(
    {profile.name: profile for profile in (DEFAULT, PAPER, PAPER_INTENSIVE, VGG19_LIKE)}
)
"""The profiles by name."""


@dataclass(frozen=True, slots=True)
class NamedArchitecture:
    """A hand-made network.

    Attributes:
        architecture: its layers.
        profile: how they become a network.
    """

    architecture: Architecture
    profile: NetworkProfile


NAMED_ARCHITECTURES: Mapping[str, NamedArchitecture] = MappingProxyType(
    {
        "vgg19-like": NamedArchitecture(
            parse_architecture("conv3 conv3 maxpool2 conv3 conv3 maxpool2"),
            VGG19_LIKE,
        )
    }
)
"""Hand-made networks by name, the paper's human baseline among them."""


def profile(name: str) -> NetworkProfile:
    """Return the profile called `name`.

    Raises:
        ConfigurationError: there is none; names the nearest.

    >>> profile("paper").base_width
    32
    """
    if name not in PROFILES:
        known = ", ".join(PROFILES)
        raise ConfigurationError(f"Unknown network profile {name!r} (known: {known}).{nearest(name, PROFILES)}")
    return PROFILES[name]


def _text(value: object) -> str:
    """Return a text that is the same for equal values in every process and version of Python."""
    if is_dataclass(value):
        inside = ",".join(f"{field.name}={_text(getattr(value, field.name))}" for field in fields(value))
        return f"{type(value).__name__}({inside})"
    return f"{type(value).__name__}.{value.name}" if isinstance(value, Enum) else repr(value)
