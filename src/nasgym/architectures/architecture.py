"""Architectures as frozen values: a tuple of layers and, in some spaces, a header.

Layer `i` of an architecture is `architecture.layers[i - 1]`; index 0 is the input image
(after the stem, where there is a header).
"""

from dataclasses import dataclass

from nasgym.architectures.operations import (
    LAYER_OPERATIONS,
    MERGES,
    SKELETON_OPERATIONS,
    Augmentation,
    Operation,
    layer_token,
)
from nasgym.architectures.skeletons import SLOTS, Skeleton
from nasgym.core.errors import ArchitectureError


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: an operation on the outputs of one or two earlier layers.

    Attributes:
        operation: what the layer computes.
        kernel: kernel size in pixels; 0 where the operation has none.
        inputs: indices of the predecessors, in order.
        residual: whether the layer's input is added to its output (convolutions only).
    """

    operation: Operation
    kernel: int
    inputs: tuple[int, ...]
    residual: bool = False

    def __post_init__(self) -> None:
        if self.operation not in LAYER_OPERATIONS:
            raise ArchitectureError(f"{self.operation.token!r} is not a layer: a layer computes something.")
        if len(self.inputs) != self.operation.arity:
            raise ArchitectureError(
                f"{self.operation.token!r} takes {self.operation.arity} predecessor(s), got {list(self.inputs)}."
            )
        if self.kernel < 1 if self.operation.has_kernel else self.kernel != 0:
            need = "a kernel size of at least 1" if self.operation.has_kernel else "no kernel size (0)"
            raise ArchitectureError(f"{self.operation.token!r} needs {need}, got {self.kernel}.")
        if self.residual and not self.operation.has_weights:
            raise ArchitectureError(f"{self.operation.token!r} cannot be residual: only convolutions can.")

    @property
    def token(self) -> str:
        """The layer without its predecessors, as in the text form: `conv3`, `sepconv3+`, `add`."""
        return layer_token(self.operation, self.kernel, self.residual)


@dataclass(frozen=True, slots=True)
class Header:
    """Choices that hold for a whole network of the `edge` and `joint` spaces.

    Attributes:
        stem_stride: stride of the stem convolution, pixels.
        base_width: output channels of the stem and of the first stage.
        augmentation: augmentation while training.
        dropout: dropout before the classifier, in percent.
    """

    stem_stride: int
    base_width: int
    augmentation: Augmentation = Augmentation.NONE
    dropout: int = 0

    def __post_init__(self) -> None:
        if self.stem_stride < 1 or self.base_width < 1:
            raise ArchitectureError(
                f"Stem stride and base width must be at least 1, got {self.stem_stride} and {self.base_width}."
            )
        if not 0 <= self.dropout < 100:
            raise ArchitectureError(f"Dropout is a percentage from 0 to 99, got {self.dropout}.")


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network before it is planned for an input: its layers, and its header where the space has one.

    The empty architecture is valid: the head alone. A fixed skeleton has as many layers as slots.

    Attributes:
        layers: first to last.
        header: choices for the whole network.
        skeleton: what the layers stand for.
    """

    layers: tuple[Layer, ...] = ()
    header: Header | None = None
    skeleton: Skeleton = Skeleton.LAYERED

    def __post_init__(self) -> None:
        if self.skeleton is not Skeleton.LAYERED:
            self._check_slots()
            return
        for index, layer in enumerate(self.layers, start=1):
            for source in layer.inputs:
                if not 0 <= source < index:
                    raise ArchitectureError(
                        f"Layer {index} ({layer.operation.token}) takes its input from layer {source}; "
                        f"only 0 (the image) to {index - 1} come before it."
                    )
            if layer.operation in MERGES and 0 in layer.inputs:
                raise ArchitectureError(
                    f"Layer {index} ({layer.operation.token}) merges {list(layer.inputs)}; "
                    "both predecessors must be layers (1 or more), not the image (0)."
                )
            if layer.operation in SKELETON_OPERATIONS:
                raise ArchitectureError(
                    f"Layer {index} ({layer.token}) only exists in a fixed skeleton; "
                    f"name it first, as in 'skeleton={Skeleton.MACRO.token} …'."
                )

    def _check_slots(self) -> None:
        slots, name = SLOTS[self.skeleton], self.skeleton.token
        if self.header is not None:
            raise ArchitectureError(f"Skeleton {name!r} has no header; leave it out.")
        if len(self.layers) != len(slots):
            raise ArchitectureError(f"Skeleton {name!r} has {len(slots)} layers, got {len(self.layers)}.")
        for index, (layer, slot) in enumerate(zip(self.layers, slots, strict=True), start=1):
            if layer.inputs != (slot.source,) or layer.residual or (layer.operation, layer.kernel) not in slot.choices:
                known = ", ".join(layer_token(operation, kernel, False) for operation, kernel in slot.choices)
                raise ArchitectureError(
                    f"Layer {index} ({layer.token} on {list(layer.inputs)}) does not fit skeleton {name!r}: "
                    f"there it is one of {known}, on {slot.source}."
                )

    def __len__(self) -> int:
        return len(self.layers)

    def __str__(self) -> str:
        from nasgym.architectures.text import format_architecture

        return format_architecture(self)

    @property
    def is_chain(self) -> bool:
        """Whether every layer takes its input from the layer just before it."""
        return all(layer.inputs == (index,) for index, layer in enumerate(self.layers))

    @property
    def leaves(self) -> tuple[int, ...]:
        """Indices of the layers that no layer uses, in index order; `(0,)` for the empty architecture.

        A fixed skeleton joins its layers in its own way and leaves the last one.
        """
        if self.skeleton is not Skeleton.LAYERED:
            return (len(self.layers),)
        used = {source for layer in self.layers for source in layer.inputs}
        return tuple(index for index in range(1, len(self.layers) + 1) if index not in used) or (0,)

    @property
    def is_multi_branch(self) -> bool:
        """Whether something feeds two layers, or a merge exists (arXiv 1911.03769, §6.2)."""
        sources = [source for layer in self.layers for source in set(layer.inputs)]
        merges = any(layer.operation in MERGES for layer in self.layers)
        return merges or len(sources) != len(set(sources)) or len(self.leaves) > 1

    @property
    def depth(self) -> int:
        """Number of layers."""
        return len(self.layers)
