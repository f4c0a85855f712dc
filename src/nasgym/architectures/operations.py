"""The operations a layer can be, with their type codes in the Neural Structure Code (NSC).

Codes 1-7 are those of BlockQNN (arXiv 1808.05584) as used in arXiv 1911.03769, Table 1;
8-13 extend the same row encoding for the `edge` and `joint` spaces, 14-18 for fixed skeletons.
"""

from enum import IntEnum

EMPTY_ROW = 0
"""Type code of a row that holds no layer."""


class Operation(IntEnum):
    """What a row of an architecture does; the value is its NSC type code."""

    CONVOLUTION = 1
    MAX_POOLING = 2
    AVERAGE_POOLING = 3
    IDENTITY = 4
    ADDITION = 5
    CONCATENATION = 6
    TERMINAL = 7
    SEPARABLE = 8
    """Depthwise-separable convolution."""
    REDUCTION = 9
    """Convolution of stride 2."""
    STEM_STRIDE = 10
    BASE_WIDTH = 11
    AUGMENTATION = 12
    DROPOUT = 13
    ZERO = 14
    """Nothing at all: zeros of the input's shape (`none` in NAS-Bench-201)."""
    AVERAGE_SAME = 15
    """Average over the neighbours of each pixel, stride 1, as many as lie in the image."""
    INVERTED_RESIDUAL = 16
    """MobileNetV2's block; expansion 3 with kernel 3, and 6 with kernel 5 (NAS-Bench-Macro's MB3_K3 and MB6_K5)."""
    NUMBER = 17
    """One number of a NAS-Bench-MR code, in the kernel column."""
    SKELETON = 18
    """Row that names a fixed skeleton."""

    @property
    def token(self) -> str:
        """Name in the text form of an architecture, without kernel size: `conv`, `maxpool`, …"""
        return _TOKENS[self]

    @property
    def arity(self) -> int:
        """Number of predecessors: 1, 2 for merges, 0 for `TERMINAL` and header rows."""
        if self in MERGES:
            return 2
        return 1 if self in LAYER_OPERATIONS else 0

    @property
    def has_kernel(self) -> bool:
        """Whether the operation comes in several kernel sizes."""
        return self in WITH_KERNEL

    @property
    def is_pooling(self) -> bool:
        """Whether the operation is a pooling: it shrinks by its kernel size and has no weights."""
        return self in (Operation.MAX_POOLING, Operation.AVERAGE_POOLING)

    @property
    def has_weights(self) -> bool:
        """Whether the operation is a convolution of some kind, the only kind that can be residual."""
        return self in (Operation.CONVOLUTION, Operation.SEPARABLE, Operation.REDUCTION)


MERGES = frozenset({Operation.ADDITION, Operation.CONCATENATION})
HEADER_OPERATIONS = (Operation.STEM_STRIDE, Operation.BASE_WIDTH, Operation.AUGMENTATION, Operation.DROPOUT)
LAYER_OPERATIONS = frozenset(
    operation
    for operation in Operation
    if operation not in (*HEADER_OPERATIONS, Operation.TERMINAL, Operation.SKELETON)
)
SKELETON_OPERATIONS = frozenset({Operation.ZERO, Operation.AVERAGE_SAME, Operation.INVERTED_RESIDUAL, Operation.NUMBER})
"""Layers that only a fixed skeleton has room for."""
WITH_KERNEL = frozenset(
    {
        Operation.CONVOLUTION,
        Operation.MAX_POOLING,
        Operation.AVERAGE_POOLING,
        Operation.SEPARABLE,
        Operation.REDUCTION,
        Operation.AVERAGE_SAME,
        Operation.INVERTED_RESIDUAL,
        Operation.NUMBER,
    }
)
_TOKENS = {
    Operation.CONVOLUTION: "conv",
    Operation.MAX_POOLING: "maxpool",
    Operation.AVERAGE_POOLING: "avgpool",
    Operation.IDENTITY: "identity",
    Operation.ADDITION: "add",
    Operation.CONCATENATION: "concat",
    Operation.TERMINAL: "terminal",
    Operation.SEPARABLE: "sepconv",
    Operation.REDUCTION: "downconv",
    Operation.STEM_STRIDE: "stem",
    Operation.BASE_WIDTH: "width",
    Operation.AUGMENTATION: "augment",
    Operation.DROPOUT: "dropout",
    Operation.ZERO: "none",
    Operation.AVERAGE_SAME: "avgsame",
    Operation.INVERTED_RESIDUAL: "mbconv",
    Operation.NUMBER: "n",
    Operation.SKELETON: "skeleton",
}


class Augmentation(IntEnum):
    """Training-time image augmentation, a header choice of the `joint` space."""

    NONE = 0
    SHIFT = 1
    SHIFT_FLIP = 2
    QUARTER_TURNS = 3

    @property
    def token(self) -> str:
        """Name in text and configuration: `none`, `shift`, `shift-flip`, `quarter-turns`."""
        return self.name.lower().replace("_", "-")


def layer_token(operation: Operation, kernel: int, residual: bool) -> str:
    """Return the word for a layer without its predecessors: `conv3`, `sepconv3+`, `add`."""
    return f"{operation.token}{kernel or ''}{'+' if residual else ''}"


def header_word(operation: Operation, value: int) -> str:
    """Return the word for a header choice: `stem=2`, `augment=shift-flip`."""
    shown = Augmentation(value).token if operation is Operation.AUGMENTATION else str(value)
    return f"{operation.token}={shown}"
