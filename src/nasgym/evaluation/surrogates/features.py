"""Architectures as numbers that trees can split on."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasgym.evaluation.tables.layout import Layout


class Features:
    """Numbers for each architecture of one layout, all of them whole.

    For each place of a layer: kernel size (the number itself in a NAS-Bench-MR code); one-hot operation where several
    occur; residual bit where it occurs; distance back to each input where it varies. Before them the header
    choices.

    Args:
        layout: of the architectures.

    Attributes:
        layout: as given.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        operations = sorted({word.operation for word in layout.words})
        columns = [[word.kernel for word in layout.words]]
        if len(operations) > 1:
            columns += [[word.operation == operation for word in layout.words] for operation in operations]
        if any(word.residual for word in layout.words):
            columns.append([word.residual for word in layout.words])
        self._of_word = np.zeros((len(layout.words) + 1, len(columns)), dtype=np.float32)
        self._of_word[1:] = np.array(columns, dtype=np.float32).T
        self._of_choice = [np.array([0, *values], dtype=np.float32) for values in layout.headers]

    def of(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return the features of the architectures that `arrays` are (see `Layout.encode`), shape `(n, features)`."""
        words = arrays["words"]
        n, depth = words.shape
        parts = [values[arrays["headers"][:, place]][:, None] for place, values in enumerate(self._of_choice)]
        parts.append(self._of_word[words].reshape(n, -1))
        if not self.layout.follows:
            places = np.arange(1, depth + 1, dtype=np.float32)[None, :, None]
            back = places - arrays["inputs"].astype(np.float32)
            parts.append(np.where(words[:, :, None] > 0, back, 0.0).astype(np.float32).reshape(n, -1))
        return np.concatenate(parts, axis=1)
