"""Finding rows by 64-bit keys, one or a million at a time."""

import math

import numpy as np
from numpy.typing import NDArray

MISSING = -1
"""Row of a key that is not there."""
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""2⁶⁴ / golden ratio, odd: spreads keys that are close to one another (Knuth, TAOCP 3, §6.4)."""
_ALL_BITS = (1 << 64) - 1
_SPARE_BITS = 2
"""The slots are four to eight times as many as the keys, so that most keys lie where they are looked for first."""


class KeyIndex:
    """Rows of distinct keys, in a hash table with ordered linear probing; no Python loop runs over keys.

    Takes 12 bytes for each of its slots, 50 MB for a million keys.

    Args:
        keys: distinct, shape `(n,)`, n below 2³¹; key `i` belongs to row `i`.
    """

    def __init__(self, keys: NDArray[np.uint64]) -> None:
        bits = max(1, math.ceil(math.log2(max(1, len(keys))))) + _SPARE_BITS
        self._shift = np.uint64(64 - bits)
        homes = self._homes(keys)
        order = np.argsort(homes, kind="stable")
        ranks = np.arange(len(keys))
        slots = np.maximum.accumulate(homes[order] - ranks) + ranks
        length = max(1 << bits, int(slots[-1]) + 1 if len(keys) else 0) + 1
        self._keys = np.zeros(length, dtype=np.uint64)
        self._rows = np.full(length, MISSING, dtype=np.int32)
        self._keys[slots] = keys[order]
        self._rows[slots] = order

    def rows(self, keys: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Return the row of each key, `MISSING` (-1) for one that is not there, shape `(m,)`."""
        slots = self._homes(keys)
        strange = np.flatnonzero(self._keys.take(slots) != keys)
        if strange.size:
            slots[strange] = self._probe(keys.take(strange), slots.take(strange))
        found: NDArray[np.int32] = self._rows.take(slots)
        if strange.size:
            found[strange[self._keys.take(slots.take(strange)) != keys.take(strange)]] = MISSING
        return found

    def row(self, key: int) -> int:
        """Return the row of one key, `MISSING` (-1) if it is not there; quicker than `rows` for a few."""
        slot = ((key * int(_MULTIPLIER)) & _ALL_BITS) >> int(self._shift)
        while (row := self._rows.item(slot)) != MISSING:
            if self._keys.item(slot) == key:
                return row
            slot += 1
        return MISSING

    def _homes(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        return ((keys * _MULTIPLIER) >> self._shift).astype(np.int64)

    def _probe(self, keys: NDArray[np.uint64], slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return, for each key, the slot that holds it, or the first empty one from `slots` on."""
        going = np.arange(len(keys))
        while going.size:
            here = slots.take(going)
            passed = (self._rows.take(here) != MISSING) & (self._keys.take(here) != keys.take(going))
            going = going[passed]
            slots[going] += 1
        return slots
