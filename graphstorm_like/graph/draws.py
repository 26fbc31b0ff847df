"""Random numbers that belong to nodes: whoever samples the neighbours of a node draws the same ones.

So the neighbourhoods of a step are the same on one process and on many, wherever the node's partition is read:
SplitMix64 (Steele et al., OOPSLA 2014), begun from a hash of the step's seed, the edge type and the node.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.graph.past import Times
from graphstorm_like.graph.store import IntArray

_STEP = np.uint64(0x9E3779B97F4A7C15)


def mix64(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64's next output of each state [n]."""
    x = x + _STEP
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: npt.NDArray[np.uint64] = x ^ (x >> np.uint64(31))
    return mixed


@dataclass(frozen=True, slots=True)
class NodeDraws:
    """Draws for the in-edges of one type. seed: of a layer of a step. first: the global id of the target of row 0."""

    seed: int
    edge_type: EdgeType
    first: int = 0

    def uniform(self, rows: IntArray, count: int, bounds: Times | None = None) -> npt.NDArray[np.float64]:
        """[count, n] numbers in [0, 1) for each of some target rows [n], or of some pairs of a row and a bound [n]."""
        key = np.array([(self.seed ^ _key(self.edge_type)) & (2**64 - 1)], dtype=np.uint64)
        start = mix64(mix64(key) ^ (rows + self.first).astype(np.uint64))
        if bounds is not None:
            start = mix64(start ^ np.ascontiguousarray(bounds).view(np.uint64))
        drawn = np.empty((count, len(rows)))
        for i in range(count):
            drawn[i] = mix64(start) >> np.uint64(11)
            start += _STEP
        drawn *= 2.0**-53
        return drawn

    def of_edges(self, rows: IntArray, places: IntArray) -> npt.NDArray[np.float64]:
        """[n] numbers in [0, 1), each for an edge: its target row [n], and its place among the edges into it [n]."""
        key = np.array([(self.seed ^ _key(self.edge_type)) & (2**64 - 1)], dtype=np.uint64)
        start = mix64(mix64(key) ^ (rows + self.first).astype(np.uint64))
        drawn = mix64(start + places.astype(np.uint64) * _STEP) >> np.uint64(11)
        return drawn.astype(np.float64) * 2.0**-53


@lru_cache(maxsize=4096)
def _key(edge_type: EdgeType) -> int:
    return int.from_bytes(blake2b(edge_name(edge_type).encode(), digest_size=8).digest(), "little")
