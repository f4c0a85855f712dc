"""Architectures as arrays: a word for each layer, its predecessors unless its place tells them, header choices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures import Architecture, Augmentation, Header, Layer, Operation, Skeleton
from nasgym.architectures.actions import AddLayer
from nasgym.architectures.skeletons import SLOTS
from nasgym.core.errors import TableError

MAX_WORDS = 255
"""Different layers that a table can tell apart, and layers of an architecture."""
_ARITY = 2
_TOKENS = {operation.token: operation for operation in Operation}

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Layout:
    """How architectures are laid out.

    Attributes:
        words: the layers that occur, as the actions that add them; number `w` is `words[w - 1]`, 0 is no layer.
        headers: the values that occur of each header choice; number `c` is `headers[k][c - 1]`; empty without headers.
        skeleton: of every architecture.
        follows: whether every layer has the predecessor of its place: the layer before it, or that of its slot.
    """

    words: tuple[AddLayer, ...]
    headers: tuple[tuple[int, ...], ...]
    skeleton: Skeleton
    follows: bool

    @classmethod
    def of(cls, architectures: Sequence[Architecture]) -> Self:
        """Return the layout that has room for `architectures`.

        Raises:
            TableError: their skeletons differ, only some have a header, or there are too many kinds of layers.
        """
        kinds = {(architecture.skeleton, architecture.header is None) for architecture in architectures}
        if len(kinds) > 1:
            raise TableError(
                "A table holds architectures of one kind: all of one skeleton, and all with a header or all without. "
                "Build a table for each kind."
            )
        words = {_word(layer) for architecture in architectures for layer in architecture.layers}
        deepest = max((len(architecture) for architecture in architectures), default=0)
        if max(len(words), deepest) > MAX_WORDS:
            raise TableError(
                f"The architectures have {len(words)} kinds of layers and up to {deepest} layers; "
                f"a table has room for {MAX_WORDS}."
            )
        choices = {header_values(architecture.header) for architecture in architectures if architecture.header}
        return cls(
            words=tuple(sorted(words, key=lambda word: (word.operation, word.kernel, word.residual))),
            headers=tuple(tuple(sorted(set(values))) for values in zip(*choices, strict=True)),
            skeleton=next(iter(kinds))[0] if kinds else Skeleton.LAYERED,
            follows=all(_follows(architecture) for architecture in architectures),
        )

    def encode(self, architectures: Sequence[Architecture]) -> Arrays:
        """Return the arrays of `architectures`.

        `words`, shape `(n, d)`; `inputs`, shape `(n, d, 2)`, unless `follows`; `headers`, shape `(n, 4)`, where
        there are headers; all uint8.
        """
        depth = max((len(architecture) for architecture in architectures), default=0)
        numbers = {word: number for number, word in enumerate(self.words, start=1)}
        words = np.zeros((len(architectures), depth), dtype=np.uint8)
        for row, architecture in enumerate(architectures):
            words[row, : len(architecture)] = [numbers[_word(layer)] for layer in architecture.layers]
        arrays: Arrays = {"words": words}
        if not self.follows:
            arrays["inputs"] = inputs = np.zeros((len(architectures), depth, _ARITY), dtype=np.uint8)
            for row, architecture in enumerate(architectures):
                for place, layer in enumerate(architecture.layers):
                    inputs[row, place, : len(layer.inputs)] = layer.inputs
        if self.headers:
            arrays["headers"] = headers = np.zeros((len(architectures), len(self.headers)), dtype=np.uint8)
            for row, architecture in enumerate(architectures):
                if architecture.header:
                    values = header_values(architecture.header)
                    headers[row] = [known.index(v) + 1 for known, v in zip(self.headers, values, strict=True)]
        return arrays

    def decode(self, arrays: Mapping[str, NDArray[Any]], row: int) -> Architecture:
        """Return the architecture of `row`."""
        layers = []
        for place, number in enumerate(arrays["words"][row].tolist()):
            if number == 0:
                break
            word = self.words[number - 1]
            inputs = self._place(place) if self.follows else arrays["inputs"][row, place].tolist()
            layers.append(Layer(word.operation, word.kernel, tuple(inputs[: word.operation.arity]), word.residual))
        header = None
        if self.headers:
            numbers = arrays["headers"][row].tolist()
            stride, width, augmentation, dropout = (
                known[number - 1] for known, number in zip(self.headers, numbers, strict=True)
            )
            header = Header(stride, width, Augmentation(augmentation), dropout)
        return Architecture(tuple(layers), header, self.skeleton)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values; the skeleton is told elsewhere."""
        return {
            "words": [[word.operation.token, word.kernel, word.residual] for word in self.words],
            "headers": [list(values) for values in self.headers],
            "follows": self.follows,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any], skeleton: Skeleton) -> Self:
        """Return the layout that `to_json` gave."""
        words = tuple(
            AddLayer(_TOKENS[token], kernel, residual=residual) for token, kernel, residual in values["words"]
        )
        headers = tuple(tuple(choices) for choices in values["headers"])
        return cls(words, headers, skeleton, values["follows"])

    def _place(self, place: int) -> list[int]:
        return [place if self.skeleton is Skeleton.LAYERED else SLOTS[self.skeleton][place].source]


def header_values(header: Header) -> tuple[int, int, int, int]:
    """Return the four choices of a header, in the order of their rows."""
    return (header.stem_stride, header.base_width, int(header.augmentation), header.dropout)


def _word(layer: Layer) -> AddLayer:
    return AddLayer(layer.operation, layer.kernel, residual=layer.residual)


def _follows(architecture: Architecture) -> bool:
    return architecture.skeleton is not Skeleton.LAYERED or architecture.is_chain
