"""Rows of architectures side by side: where they are kept, and how they become NSC and observations.

A row is one of finitely many, so that it is kept as a number, its *row code*; 0 is the empty row. The rows of
environment `i` lie one after another in the right half of a line of a buffer whose left half stays empty, so that the
window of `R` places that ends with the newest row is just what is observed: empty rows first. A new episode only moves
the window; what lies behind it is never seen.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Numbers = NDArray[np.int64]
Codes = NDArray[np.signedinteger[Any]]


class RowBuffer:
    """The row codes of `n` architectures of at most `length` rows.

    Args:
        n: architectures.
        length: R, rows.
        n_codes: number of different rows.
        at_once: rows that one action writes at most.
    """

    def __init__(self, n: int, length: int, n_codes: int, at_once: int = 1) -> None:
        self.length = length
        width = 2 * length + at_once
        self._codes: Codes = np.zeros((n, width), dtype=np.int16 if n_codes < 1 << 15 else np.int32)
        self._flat = self._codes.reshape(-1)
        self._starts = np.arange(n) * width
        self._ends = self._starts + length
        self._windows = _windows(self._flat, length)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the views, which would become copies."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_flat", "_windows")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._flat = self._codes.reshape(-1)
        self._windows = _windows(self._flat, self.length)

    def write(self, counts: Numbers, codes: Codes | int, which: Numbers | slice = slice(None)) -> None:
        """Write the row that follows the first `counts` rows of the places `which`; the count says when it is seen."""
        self._flat[self._ends[which] + counts] = codes

    def window(self, counts: Numbers) -> Codes:
        """Return the row codes of architectures of `counts` rows, shape `(n, R)`, empty rows first."""
        codes: Codes = self._windows[self._starts + counts].view(self._flat.dtype)
        return codes.reshape(len(counts), self.length)

    def rows(self, first: int, count: int) -> Codes:
        """Return a copy of the codes of `count` rows from `first` on, shape `(n, count)`; rubbish beyond the count."""
        codes: Codes = self._codes[:, self.length + first : self.length + first + count].copy()
        return codes


def _windows(flat: Codes, length: int) -> NDArray[np.void]:
    """Return all windows of `length` codes as items of one array, the way in which NumPy gathers them fastest."""
    size = flat.dtype.itemsize
    return np.ndarray((len(flat) - length + 1,), dtype=f"V{size * length}", buffer=flat, strides=(size,))


@dataclass(frozen=True)
class Layout:
    """How row codes are observed, in NSC and as one-hot groups.

    Attributes:
        nsc: row of each code, shape `(n_codes, 5)`, int64.
        columns: compact observation of each code as a row, shape `(n_codes, c)`, uint8; `c` is 0 without rows.
        sizes: length of the one-hot group of each column of a row, `(c,)`.
        n_rows: rows observed, 0 where only slots are.
        slots: for each slot (a header choice, a place in a fixed skeleton) its number by row code, shape
            `(n_slots, n_codes)`, uint8; 0 is "not yet chosen".
        slot_sizes: length of the one-hot group of each slot.
        first_slot: row that holds the first slot.
    """

    nsc: Numbers
    columns: NDArray[np.uint8]
    sizes: tuple[int, ...]
    n_rows: int
    slots: NDArray[np.uint8]
    slot_sizes: tuple[int, ...]
    first_slot: int = 0

    @property
    def groups(self) -> tuple[int, ...]:
        """The length of every one-hot group of the observation, in order."""
        return self.slot_sizes + self.sizes * self.n_rows


class Observer:
    """Turns row codes into observations, compact or one-hot.

    Args:
        layout: of the rows.
        one_hot: one-hot float32, rather than one uint8 for each group.
    """

    def __init__(self, layout: Layout, *, one_hot: bool) -> None:
        self._layout = layout
        self._columns = one_hots(layout.columns, layout.sizes) if one_hot else layout.columns
        width = self._columns.shape[1]
        self._slots = [
            one_hots(numbers[:, np.newaxis], (size,)) if one_hot else numbers[:, np.newaxis]
            for numbers, size in zip(layout.slots, layout.slot_sizes, strict=True)
        ]
        self._empty_slots = [slot[0] for slot in self._slots]
        self._numbers = layout.slots.reshape(-1) if self._slots and not one_hot else None
        self._places = np.arange(len(self._slots))
        self._offsets = self._places * layout.slots.shape[1] if self._slots else self._places
        self.dtype = self._columns.dtype
        self._slots_length = sum(slot.shape[1] for slot in self._slots)
        self.length = self._slots_length + width * layout.n_rows
        self._row_width = width

    def observe(
        self, window: Codes, slots: Codes, chosen: Numbers, out: NDArray[np.generic] | None
    ) -> NDArray[np.generic]:
        """Return the observations.

        Args:
            window: row codes, shape `(n, R)`.
            slots: row codes of the slots, shape `(n, n_slots)`, rubbish beyond those chosen.
            chosen: number of slots chosen, shape `(n,)`.
            out: where to put them, shape `(n, length)`; a new array if `None`.
        """
        n = len(window)
        if out is None:
            out = np.empty((n, self.length), dtype=self.dtype)
        if self._layout.n_rows:
            rows = window[:, -self._layout.n_rows :].astype(np.intp)
            shape = (n, self._layout.n_rows, self._row_width)
            if not self._slots:
                self._columns.take(rows, axis=0, out=out.reshape(shape), mode="clip")
            else:
                out[:, self._slots_length :] = self._columns.take(rows, axis=0, mode="clip").reshape(n, -1)
        if self._numbers is not None:
            numbers = self._numbers.take(slots + self._offsets, mode="clip")
            np.multiply(numbers, chosen[:, np.newaxis] > self._places, out=out[:, : self._slots_length])
            return out
        start = 0
        for place, (table, empty) in enumerate(zip(self._slots, self._empty_slots, strict=True)):
            here = out[:, start : start + len(empty)]
            here[:] = table.take(slots[:, place], axis=0, mode="clip")
            here[chosen <= place] = empty
            start += len(empty)
        return out


def one_hots(columns: NDArray[np.uint8], sizes: tuple[int, ...]) -> NDArray[np.float32]:
    """Return numbers as one-hot groups, shape `(n, c)` to `(n, sum(sizes))`."""
    groups = [np.eye(size, dtype=np.float32)[columns[:, place]] for place, size in enumerate(sizes)]
    return np.concatenate(groups, axis=1) if groups else np.zeros((len(columns), 0), dtype=np.float32)
