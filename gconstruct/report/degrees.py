"""How many edges nodes have: the distribution of degrees, and the nodes with the most edges.

In: degrees int64 (n) of consecutive nodes, block by block. Small degrees are counted one by one, so that the median and
the 99th percentile are exact below SMALL; above it they are the lower bound of a power of two.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np

from gconstruct.report.model import DegreeBin, Degrees, Hub
from gconstruct.report.rows import Pieces

SMALL = 1 << 12
HUBS = 5
BLOCK = 1 << 18
"""Nodes or edges in a block"""


class DegreeCounter:
    """Sees all nodes of one end, in order."""

    def __init__(self) -> None:
        self._small = np.zeros(SMALL, np.int64)
        self._octaves = np.zeros(64, np.int64)
        self._nodes = self._edges = self._max = 0
        self._hubs: list[tuple[int, int]] = []

    def add(self, degrees: np.ndarray) -> None:
        """Degrees of the next nodes."""
        if not degrees.size:
            return
        high = degrees[degrees >= SMALL]
        self._small += np.bincount(degrees[degrees < SMALL] if high.size else degrees, minlength=SMALL)
        if high.size:
            self._octaves += np.bincount(np.frexp(high.astype(np.float64))[1] - 1, minlength=64)
        most = min(HUBS, len(degrees))
        places = np.argpartition(degrees, len(degrees) - most)[-most:]
        found = [(int(degrees[place]), -(self._nodes + int(place))) for place in places if degrees[place] > 0]
        self._hubs = heapq.nlargest(HUBS, self._hubs + found)
        self._nodes += len(degrees)
        self._edges += int(degrees.sum())
        self._max = max(self._max, int(degrees.max()))

    def result(self, node_type: str, ids: Pieces) -> Degrees:
        """The distribution; `ids` are those of the node type."""
        names = ids.take([-place for _, place in self._hubs])
        return Degrees(
            node_type=node_type,
            nodes=self._nodes,
            without=int(self._small[0]),
            mean=self._edges / self._nodes if self._nodes else 0.0,
            median=self._quantile(0.5),
            p99=self._quantile(0.99),
            max=self._max,
            bins=self._bins(),
            hubs=[Hub(id=str(name), degree=degree) for name, (degree, _) in zip(names, self._hubs, strict=True)],
        )

    def _quantile(self, share: float) -> int:
        """The least degree that so many of the nodes do not exceed."""
        wanted = max(1, int(np.ceil(share * self._nodes)))
        at = int(np.searchsorted(np.cumsum(self._small), wanted))
        if at < SMALL or not self._nodes:
            return at if self._nodes else 0
        left = wanted - int(self._small.sum())
        return 1 << int(np.searchsorted(np.cumsum(self._octaves), left))

    def _bins(self) -> list[DegreeBin]:
        """0, 1, 2 to 3, 4 to 7 ... up to the greatest degree"""
        if not self._nodes:
            return []
        bins = [DegreeBin(low=0, high=0, nodes=int(self._small[0]))]
        for octave in range(self._max.bit_length()):
            low, high = 1 << octave, (2 << octave) - 1
            nodes = int(self._small[low : high + 1].sum()) if low < SMALL else int(self._octaves[octave])
            bins.append(DegreeBin(low=low, high=high, nodes=nodes))
        return bins


def degree_blocks(indptr: np.ndarray) -> Iterator[np.ndarray]:
    """Degrees of the nodes of one file of index pointers."""
    for start in range(0, len(indptr) - 1, BLOCK):
        yield np.diff(indptr[start : start + BLOCK + 1])


def array_blocks(degrees: np.ndarray) -> Iterator[np.ndarray]:
    """Degrees that lie in memory."""
    for start in range(0, len(degrees), BLOCK):
        yield degrees[start : start + BLOCK]
