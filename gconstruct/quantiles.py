"""Distributions of numbers in bounded memory, which pieces of a table can be merged into.

Up to LIMIT different numbers each is kept with its count, so that everything is exact. Beyond it numbers that agree in
their leading bits share an entry, which stands at the smallest of them: as many bits as give at most LIMIT entries. An
entry then differs from its numbers by less than a relative `error`: 2 ** -16 for numbers spread over [1, 2), 2 ** -13
for 500,000 lognormal ones. The order of rows and merges never changes the result, not even in its last bit: which bits
are kept depends only on the set of all numbers. (DDSketch, Masson et al. 2019, has the same guarantee with a base other
than two: https://doi.org/10.14778/3352063.3352135)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LIMIT = 100_000
"""Entries of a distribution: 1.6 MB."""
_MANTISSA_BITS = 52
_BLOCK = 1 << 20
_MAGNITUDE = np.int64(0x7FFF_FFFF_FFFF_FFFF)


@dataclass(frozen=True, slots=True)
class Distribution:
    """Entries in ascending order."""

    values: np.ndarray
    """float64 (k), finite: the smallest number of each entry"""
    counts: np.ndarray
    """int64 (k): how many numbers it stands for"""
    largest: float
    """The largest of all numbers; -inf when there is none"""
    dropped: int = 0
    """Trailing bits of a float64 that are not compared; 0: everything is exact"""
    limit: int = LIMIT
    """At least 2: negative numbers and others never share an entry"""

    @classmethod
    def of(cls, numbers: np.ndarray, limit: int = LIMIT) -> Distribution:
        """Of finite numbers (n), in any order."""
        whole = cls(np.empty(0), np.empty(0, np.int64), -np.inf, 0, limit)
        for start in range(0, len(numbers), _BLOCK):
            block = numbers[start : start + _BLOCK].astype(np.float64) + 0.0  # -0.0 becomes 0.0
            values, counts = np.unique(block, return_counts=True)
            piece = cls(values, counts.astype(np.int64), float(values[-1]), 0, limit)
            whole = whole.merged(piece)
        return whole

    def __len__(self) -> int:
        """All numbers."""
        return int(self.counts.sum())

    @property
    def error(self) -> float:
        """Bound of |entry - number| / |number|; 0: exact."""
        return float(2.0 ** (self.dropped - _MANTISSA_BITS)) if self.dropped else 0.0

    def merged(self, other: Distribution) -> Distribution:
        """Of the numbers of both."""
        assert self.limit == other.limit
        dropped = max(self.dropped, other.dropped)
        values, counts = np.concatenate([self.values, other.values]), np.concatenate([self.counts, other.counts])
        order = np.argsort(values, kind="stable")
        values, counts = values[order], counts[order]
        while True:
            firsts = _firsts(values, dropped)
            if len(firsts) <= self.limit:
                break
            dropped += 1
        if len(values):
            values, counts = values[firsts], np.add.reduceat(counts, firsts)
        return Distribution(values, counts, max(self.largest, other.largest), dropped, self.limit)

    def quantiles(self, shares: np.ndarray) -> np.ndarray:
        """The numbers below which these shares (m, in [0, 1]) lie, as np.quantile has them by default: linear between
        two neighbours in the sorted list of all numbers. There must be at least one number."""
        ends = np.cumsum(self.counts)
        at = np.asarray(shares, np.float64) * (ends[-1] - 1)
        below = np.floor(at)
        low = self.values[np.searchsorted(ends, below, side="right")]
        high = self.values[np.searchsorted(ends, np.minimum(below + 1, ends[-1] - 1), side="right")]
        share = at - below
        exact: np.ndarray = np.where(share < 0.5, low + (high - low) * share, high - (high - low) * (1 - share))
        return np.where(at >= ends[-1] - 1, self.largest, exact) if self.dropped else exact

    def most_frequent(self) -> float:
        """The number that occurs most often; of several the smallest."""
        return float(self.values[np.argmax(self.counts)])

    def positions(self) -> np.ndarray:
        """(k): where each entry stands in the sorted list of all numbers, from 0; of equal numbers the middle."""
        middle: np.ndarray = np.cumsum(self.counts) - (self.counts + 1) / 2
        return middle

    def knots(self, count: int) -> np.ndarray:
        """At most `count` of the entries, as positions in `values`: all, or those that hold equally spaced shares of
        the numbers, with the first and the last."""
        if len(self.values) <= count:
            return np.arange(len(self.values))
        shares = np.linspace(0, len(self) - 1, count)
        chosen: np.ndarray = np.unique(np.searchsorted(np.cumsum(self.counts), shares, side="right"))
        return chosen


def _firsts(values: np.ndarray, dropped: int) -> np.ndarray:
    """Where in the sorted values each entry starts."""
    bits = values.view(np.int64)
    keys = np.where(bits < 0, bits ^ _MAGNITUDE, bits) >> dropped  # ascending like the numbers
    firsts: np.ndarray = np.flatnonzero(np.diff(keys, prepend=keys[:1] - 1))
    return firsts


def limit_for(columns: int) -> int:
    """Entries of each of several distributions that are kept at the same time."""
    return max(1000, LIMIT // max(columns, 1))
