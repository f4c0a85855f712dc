"""One-hot observations of NSC rows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures.nsc import Row

TYPE_CODES = 8
"""Type codes 0 (empty) to 7 (terminal) of SPEC §2."""
EXTENDED_TYPE_CODES = 10
"""Type codes 0 to 9: those and the separable and strided convolutions."""


class RowEncoding:
    """Rows as one-hot groups: type, kernel size, then one group per further column.

    Attributes:
        n_rows: rows encoded.
        sizes: length of each group; group `i` encodes column `i + 1` of a row.
        length: length of the flat observation, `n_rows × sum(sizes)`.
    """

    def __init__(self, n_rows: int, sizes: tuple[int, ...]) -> None:
        self.n_rows = n_rows
        self.sizes = sizes
        self.width = sum(sizes)
        self.length = n_rows * self.width
        starts = np.cumsum((0, *sizes[:-1]))
        self._places = self.width * np.arange(n_rows)[:, np.newaxis] + starts
        self._empty = np.zeros(self.length, dtype=np.float32)
        self._empty[self._places] = 1.0

    def encode(self, rows: Sequence[Row]) -> NDArray[np.float32]:
        """Return `rows` after as many empty rows as there is room for, flat, shape `(length,)`, values 0 and 1."""
        flat = self._empty.copy()
        if rows:
            first = self.n_rows - len(rows)
            flat[first * self.width :] = 0.0
            flat[np.array(rows)[:, 1 : len(self.sizes) + 1] + self._places[first:]] = 1.0
        return flat


def chain_encoding(max_layers: int, largest_kernel: int) -> RowEncoding:
    """Return the encoding of SPEC §3 for chains: `d × (d + k + 10)` numbers."""
    return RowEncoding(max_layers, (TYPE_CODES, largest_kernel + 1, max_layers + 1))


def graph_encoding(max_layers: int, largest_kernel: int) -> RowEncoding:
    """Return the encoding of SPEC §3 for graphs: `d × (2d + k + 11)` numbers."""
    return RowEncoding(max_layers, (TYPE_CODES, largest_kernel + 1, max_layers + 1, max_layers + 1))
