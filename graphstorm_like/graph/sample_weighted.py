"""Neighbours drawn with probabilities in proportion to weights of their edges, without replacement.

Efraimidis and Spirakis (Inf. Process. Lett. 2006): of edges with weights w_j > 0 those with the k least e_j / w_j are
taken, e_j exponential: as if one after another were drawn, each time in proportion to the weights that are left. The
e_j belong to the target node and the edge's place among those into it (`graph.draws`): the same over any partitions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from graphstorm_like.graph.draws import NodeDraws
from graphstorm_like.graph.store import Hop, IntArray

Weights = npt.NDArray[np.float32]


def sample_weighted(
    indptr: IntArray,
    sources: npt.NDArray[np.integer],
    weights: Weights,
    targets: IntArray,
    fanout: int,
    draws: NodeDraws,
) -> Hop:
    """Up to `fanout` distinct in-edges of each of S target ids, from CSC arrays indptr [N+1], sources [E], weights [E].
    Edges of weight 0 are never drawn."""
    start = np.asarray(indptr[targets], dtype=np.int64)
    degree = np.asarray(indptr[targets + 1], dtype=np.int64) - start
    row = np.repeat(np.arange(len(targets)), degree)
    begins = np.cumsum(degree) - degree
    place = np.arange(len(row)) - begins[row]
    edge_ids = start[row] + place
    weight = weights[edge_ids].astype(np.float64)
    possible = weight > 0.0
    row, place, edge_ids, weight = row[possible], place[possible], edge_ids[possible], weight[possible]
    counts = np.bincount(row, minlength=len(targets))
    many = counts[row] > fanout  # only among these are there any left out
    waits = -np.log1p(-draws.of_edges(targets[row[many]], place[many])) / weight[many]
    order = np.lexsort((waits, row[many]))
    of_many = np.where(counts > fanout, counts, 0)
    rank = np.arange(len(order)) - np.repeat(np.cumsum(of_many) - of_many, of_many)
    kept = ~many
    kept[np.flatnonzero(many)[order[rank < fanout]]] = True
    taken = np.minimum(counts, fanout)
    rows = np.flatnonzero(taken)
    offsets = np.concatenate([[0], np.cumsum(taken[rows])])
    chosen = edge_ids[kept]
    return Hop(rows, offsets, sources[chosen].astype(np.int64, copy=False), chosen)
