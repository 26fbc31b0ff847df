"""The distinct values of a column as a bounded set of their hashes, so that columns of any tables can be compared.

Each value's 64-bit hash is kept if its lowest `bits` bits are zero. bits is 0, and the set exact, up to `limit`
values; beyond that it grows. Two columns keep the hashes of the same values, so that what share of one lies in the
other is measured on the same sample of values in both, and a repeated value repeats in the sample too.
"""

from __future__ import annotations

import numpy as np

LIMIT = 2_000_000
"""Hashes that one column keeps: 32 MB with their counts."""


class Sketch:
    """Hashes of the values so far (uint64, sorted, distinct), and how often each came."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit, self.bits, self.rows = limit, 0, 0
        """rows: values that were added, repeated ones too."""
        self._hashes, self._counts = np.empty(0, np.uint64), np.empty(0, np.int64)
        self._pending: list[np.ndarray] = []
        self._waiting = 0

    def add(self, hashes: np.ndarray) -> None:
        """Add the hashes (uint64) of some rows."""
        self.rows += len(hashes)
        kept = hashes[_selected(hashes, self.bits)]
        self._pending.append(kept)
        self._waiting += len(kept)
        if self._waiting > self.limit:
            self._compact()

    def _compact(self) -> None:
        if not self._pending:
            return
        new, counts = np.unique(np.concatenate(self._pending), return_counts=True)
        joined = np.concatenate([self._hashes, new])
        self._hashes, where = np.unique(joined, return_inverse=True)
        self._counts = np.bincount(where, np.concatenate([self._counts, counts])).astype(np.int64)
        self._pending, self._waiting = [], 0
        while len(self._hashes) > self.limit:
            self.bits += 1
            kept = _selected(self._hashes, self.bits)
            self._hashes, self._counts = self._hashes[kept], self._counts[kept]

    @property
    def hashes(self) -> np.ndarray:
        """Of the values that are kept (uint64, sorted)."""
        self._compact()
        return self._hashes

    @property
    def exact(self) -> bool:
        """Whether every value is kept, and not a sample of them."""
        self._compact()
        return self.bits == 0

    @property
    def distinct(self) -> int:
        """Number of distinct values; an estimate when the set is a sample."""
        return len(self.hashes) << self.bits

    @property
    def unique(self) -> bool:
        """Whether no value that is kept came twice."""
        self._compact()
        return self.rows > 0 and bool((self._counts <= 1).all())

    def share_in(self, other: Sketch) -> float:
        """Share of the distinct values that `other` has too, from 0 to 1; 0 for a column without values."""
        self._compact()
        other._compact()
        bits = max(self.bits, other.bits)
        own = self.hashes[_selected(self.hashes, bits)]
        if not len(own) or not len(other.hashes):
            return 0.0
        at = np.searchsorted(other.hashes, own).clip(max=len(other.hashes) - 1)
        return float((other.hashes[at] == own).mean())


def _selected(hashes: np.ndarray, bits: int) -> np.ndarray:
    selected: np.ndarray = (hashes & np.uint64((1 << bits) - 1)) == 0
    return selected
