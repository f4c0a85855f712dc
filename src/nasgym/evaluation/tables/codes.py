"""Codes: an architecture whose layers follow one another, as one whole number, to be found without its canonical id.

The canonical id is a hash of a text, which costs microseconds for each network. Where every layer has the predecessor
of its place (chains, cells, fixed skeletons) an architecture is just a sequence of choices, and a sequence of
choices is a number, which an environment updates by one addition for each step:

    code = Σ_j number_j · base^j,  base = 1 + largest number,

over the header choices, if any, and then the layers; number 0 is "no layer".
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures.actions import AddLayer
from nasgym.core.errors import TableError
from nasgym.evaluation.tables.index import KeyIndex
from nasgym.evaluation.tables.layout import Layout

_BITS = 64


class CodeIndex:
    """Finds the rows of a table by code.

    Args:
        layout: of the architectures.
        columns: number of each choice, 0 for none, shape `(n, c)`: header choices, then layers.

    Attributes:
        weights: what one unit of choice `j` adds to the code, `base^j`, shape `(c,)`, uint64.
        first_layer: position of the first layer among the choices: 0 without a header.

    Raises:
        TableError: the layers do not follow one another, or the code would need more than 64 bits.
    """

    def __init__(self, layout: Layout, columns: NDArray[np.uint8]) -> None:
        if not layout.follows:
            raise TableError(
                "The networks of this table are graphs, which have no code; find them by canonical id (`rows`)."
            )
        base = 1 + max((len(layout.words), *map(len, layout.headers)))
        length = columns.shape[1]
        if base**length > 1 << _BITS:
            raise TableError(
                f"{length} choices of up to {base - 1} have no code of 64 bits; find them by canonical id (`rows`)."
            )
        self.weights = np.array([base**place for place in range(length)], dtype=np.uint64)
        self.first_layer = len(layout.headers)
        self._numbers = {word: number for number, word in enumerate(layout.words, start=1)}
        self._headers = layout.headers
        self._index = KeyIndex(self.codes(columns))

    def number(self, layer: AddLayer) -> int:
        """Return the number of the choice that `layer` is; 0 where no network of the table has it."""
        return self._numbers.get(AddLayer(layer.operation, layer.kernel, residual=layer.residual), 0)

    def header_number(self, choice: int, value: int) -> int:
        """Return the number of `value` as header choice `choice`; 0 where no network of the table has it."""
        known: Sequence[int] = self._headers[choice]
        return known.index(value) + 1 if value in known else 0

    def codes(self, columns: NDArray[np.uint8]) -> NDArray[np.uint64]:
        """Return the code of each row of choices, shape `(m, c)` to `(m,)`."""
        codes = np.zeros(len(columns), dtype=np.uint64)
        for place, weight in enumerate(self.weights):
            codes += columns[:, place] * weight
        return codes

    def row(self, code: int) -> int:
        """Return the row of one code, -1 if it is not in the table."""
        return self._index.row(code)

    def rows(self, codes: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Return the row of each code, -1 for one that is not in the table, shape `(m,)`."""
        return self._index.rows(codes)
