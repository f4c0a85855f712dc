"""Architectures as text, both ways.

A chain is its operations in order: `conv3 conv3 maxpool2`. In a graph every layer names its
predecessors: `conv3(0) conv5(1) conv3(1) add(2,3)`. `+` marks a residual convolution
(`sepconv3+`), and a header stands in front as settings: `stem=2 width=16 augment=shift dropout=30`.
The empty architecture is `empty`. The layers of a fixed skeleton follow its name, without predecessors:
`skeleton=macro identity mbconv3 mbconv5 …`; a NAS-Bench-201 string (`|nor_conv_3x3~0|+|…`) is understood, too.
"""

import re

from nasgym.architectures.architecture import Architecture, Header, Layer
from nasgym.architectures.nasbench201 import CELL_STRING, parse_cell
from nasgym.architectures.operations import HEADER_OPERATIONS, LAYER_OPERATIONS, Augmentation, Operation, header_word
from nasgym.architectures.skeletons import SKELETONS, SLOTS, Skeleton
from nasgym.core.errors import ArchitectureError, nearest

EMPTY = "empty"
_LAYER = re.compile(
    r"(?P<name>[a-z]+)(?P<kernel>[0-9]{1,6})?(?P<residual>\+)?(?:\((?P<inputs>[0-9]{1,6}(?:,[0-9]{1,6})*)\))?"
)
_SETTING = re.compile(r"(?P<name>[a-z]+)=(?P<value>[\w-]+)")
_NUMBER = re.compile(r"[0-9]{1,6}")
_OPERATIONS = {operation.token: operation for operation in LAYER_OPERATIONS}
_SETTINGS = {operation.token: operation for operation in (*HEADER_OPERATIONS, Operation.SKELETON)}
_AUGMENTATIONS = {augmentation.token: augmentation for augmentation in Augmentation}


def format_architecture(architecture: Architecture) -> str:
    """Return the text of `architecture`; `parse_architecture` gives the same value back."""
    words = _header_words(architecture.header) if architecture.header else []
    if architecture.skeleton is not Skeleton.LAYERED:
        words.append(f"{Operation.SKELETON.token}={architecture.skeleton.token}")
    chain = architecture.is_chain or architecture.skeleton is not Skeleton.LAYERED
    for layer in architecture.layers:
        words.append(layer.token if chain else f"{layer.token}({','.join(map(str, layer.inputs))})")
    if not architecture.layers:
        words.append(EMPTY)
    return " ".join(words)


def parse_architecture(text: str) -> Architecture:
    """Return the architecture that `text` describes.

    A layer without parentheses follows the layer just before it; merges must name both
    predecessors. A final `terminal` is allowed and dropped.

    Raises:
        ArchitectureError: a word is not understood, or a predecessor does not exist.

    >>> parse_architecture("conv3 conv3(1) add(1, 2)").leaves
    (3,)
    """
    if text.lstrip().startswith(CELL_STRING):
        return parse_cell(text)
    words = re.sub(r"\s*([(,])\s*|\s+(?=\))", r"\1", text.strip()).split()
    if not words:
        raise ArchitectureError(f"The architecture is an empty text; write {EMPTY!r} for the head alone.")
    settings: dict[Operation, str] = {}
    while words and (match := _SETTING.fullmatch(words[0])):
        setting = _setting(match["name"])
        if setting in settings:
            raise ArchitectureError(f"Header setting {setting.token!r} is there twice; keep one.")
        settings[setting] = match["value"]
        words.pop(0)
    if words and words[-1] == Operation.TERMINAL.token:
        words.pop()
    if words == [EMPTY]:
        words = []
    skeleton = _skeleton(settings.pop(Operation.SKELETON, Skeleton.LAYERED.token))
    sources = dict(enumerate((slot.source for slot in SLOTS.get(skeleton, ())), start=1))
    layers = tuple(
        _layer(word, position, sources.get(position, position - 1)) for position, word in enumerate(words, start=1)
    )
    return Architecture(layers, _header(settings) if settings else None, skeleton)


def _layer(word: str, position: int, source: int) -> Layer:
    """Return the layer of `word`, which follows `source` unless it names its predecessors."""
    match = _LAYER.fullmatch(word)
    if match is None:
        raise ArchitectureError(
            f"Word {position} of the architecture, {word!r}, is not a layer; "
            "layers look like conv3, maxpool2, sepconv3+ or add(1,2)."
        )
    name = match["name"]
    if name not in _OPERATIONS:
        known = ", ".join(_OPERATIONS)
        raise ArchitectureError(
            f"Word {position} of the architecture, {word!r}: unknown operation {name!r} (known: {known})."
            + nearest(name, _OPERATIONS)
        )
    operation = _OPERATIONS[name]
    if operation.has_kernel and not match["kernel"]:
        raise ArchitectureError(f"Word {position} of the architecture, {word!r}, needs a kernel size, as in {name}3.")
    if match["inputs"] is None:
        if operation.arity == 2:
            raise ArchitectureError(
                f"Word {position} of the architecture, {word!r}, must name its two predecessors, as in {name}(1,2)."
            )
        inputs: tuple[int, ...] = (source,)
    else:
        inputs = tuple(int(part) for part in match["inputs"].split(","))
    return Layer(operation, int(match["kernel"] or 0), inputs, residual=bool(match["residual"]))


def _setting(name: str) -> Operation:
    if name not in _SETTINGS:
        known = ", ".join(_SETTINGS)
        raise ArchitectureError(f"Unknown header setting {name!r} (known: {known}).{nearest(name, _SETTINGS)}")
    return _SETTINGS[name]


def _skeleton(name: str) -> Skeleton:
    if name == Skeleton.LAYERED.token:
        return Skeleton.LAYERED
    if name not in SKELETONS:
        known = ", ".join(SKELETONS)
        raise ArchitectureError(f"Unknown skeleton {name!r} (known: {known}).{nearest(name, SKELETONS)}")
    return SKELETONS[name]


def _header(settings: dict[Operation, str]) -> Header:
    for needed in (Operation.STEM_STRIDE, Operation.BASE_WIDTH):
        if needed not in settings:
            raise ArchitectureError(f"The header lacks {needed.token}=…, as in 'stem=2 width=16 conv3'.")
    augmentation = settings.pop(Operation.AUGMENTATION, Augmentation.NONE.token)
    if augmentation not in _AUGMENTATIONS:
        known = ", ".join(_AUGMENTATIONS)
        raise ArchitectureError(
            f"Unknown augmentation {augmentation!r} (known: {known}).{nearest(augmentation, _AUGMENTATIONS)}"
        )
    numbers = {}
    for operation, value in settings.items():
        if not _NUMBER.fullmatch(value):
            raise ArchitectureError(
                f"Header setting {operation.token}={value!r} must be a whole number of at most six digits."
            )
        numbers[operation] = int(value)
    return Header(
        stem_stride=numbers[Operation.STEM_STRIDE],
        base_width=numbers[Operation.BASE_WIDTH],
        augmentation=_AUGMENTATIONS[augmentation],
        dropout=numbers.get(Operation.DROPOUT, 0),
    )


def _header_words(header: Header) -> list[str]:
    words = [
        header_word(Operation.STEM_STRIDE, header.stem_stride),
        header_word(Operation.BASE_WIDTH, header.base_width),
    ]
    if header.augmentation is not Augmentation.NONE:
        words.append(header_word(Operation.AUGMENTATION, header.augmentation))
    if header.dropout:
        words.append(header_word(Operation.DROPOUT, header.dropout))
    return words
