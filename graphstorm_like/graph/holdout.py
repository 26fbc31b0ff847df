"""Edges that are set aside to validate on, where the user gave no split: chosen by a hash of their ends and the seed.

A hash, not a draw: an edge's fate does not hang on its row, parallel edges share it, and so do (a, b) and (b, a)
between nodes of one type and the same pair in another relation, so that what is asked is not answered by a copy.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.base import EdgeType
from graphstorm_like.graph.store import ExcludedEdges, GraphStore, IntArray

MAX_FRACTION = 0.02
"""Of a relation's edges: what is held out is lost to training."""


def hold_out(graph: GraphStore, most: Mapping[EdgeType, int], seed: int) -> ExcludedEdges:
    """Ends of some edges of each type, at most `most` of it and at most MAX_FRACTION; those with the smallest hashes.

    Types too small to spare an edge are left out.
    """
    ends = {}
    for edge_type, at_most in most.items():
        source, target = graph.edges(edge_type)
        count = min(at_most, int(MAX_FRACTION * len(source)))
        hashes = pair_hash(source, target, edge_type[0] == edge_type[2], seed)
        if count:
            # Strictly below the next one: of edges with equal hashes all go or none.
            chosen = hashes < np.partition(hashes, count)[count]
            if chosen.any():
                ends[edge_type] = (source[chosen], target[chosen])
    return ExcludedEdges(ends)


def pair_hash(source: IntArray, target: IntArray, symmetric: bool, seed: int) -> npt.NDArray[np.uint64]:
    """A 64-bit hash of each pair; symmetric: (a, b) and (b, a) are one."""
    if symmetric:
        source, target = np.minimum(source, target), np.maximum(source, target)
    start = _mix(np.array([seed], dtype=np.uint64))
    return _mix(_mix(source.astype(np.uint64) ^ start) ^ target.astype(np.uint64))


def _mix(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64 (Steele et al., OOPSLA 2014)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: npt.NDArray[np.uint64] = x ^ (x >> np.uint64(31))
    return mixed
