"""Edges set aside for validation where the user gave no split, chosen by a hash of their end nodes and the seed.

A hash, not a random draw: the choice does not depend on an edge's row. Parallel edges are held out together, and so
are (a, b) and (b, a) between nodes of one type and the same pair in another relation. No copy of a held-out edge stays
in the graph to give the answer away.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.base import EdgeType
from graphstorm_like.graph.draws import mix64
from graphstorm_like.graph.store import ExcludedEdges, GraphStore, IntArray

MAX_FRACTION = 0.02
"""Largest share of a relation's edges that is held out: training loses these edges."""


def hold_out(graph: GraphStore, most: Mapping[EdgeType, int], seed: int) -> ExcludedEdges:
    """Ends of the held-out edges of each type: those with the smallest hashes, at most `most` of a type and at most
    MAX_FRACTION of it.

    Types too small to spare an edge are left out.
    """
    ends = {}
    for edge_type, at_most in most.items():
        source, target = graph.edges(edge_type)
        count = min(at_most, int(MAX_FRACTION * len(source)))
        hashes = pair_hash(source, target, edge_type[0] == edge_type[2], seed)
        if count:
            # Strictly below the next hash: edges with equal hashes are held out together or not at all.
            chosen = hashes < np.partition(hashes, count)[count]
            if chosen.any():
                ends[edge_type] = (source[chosen], target[chosen])
    return ExcludedEdges(ends)


def pair_hash(source: IntArray, target: IntArray, symmetric: bool, seed: int) -> npt.NDArray[np.uint64]:
    """A 64-bit hash of each pair; symmetric: (a, b) and (b, a) have the same hash."""
    if symmetric:
        source, target = np.minimum(source, target), np.maximum(source, target)
    start = mix64(np.array([seed], dtype=np.uint64))
    return mix64(mix64(source.astype(np.uint64) ^ start) ^ target.astype(np.uint64))
