"""Neighbour sampling over CSC arrays, in numpy: exact, without replacement, no Python loop over nodes or edges.

Floyd's algorithm draws k of d neighbours in k vectorised rounds over all nodes that have more than k.
Measured with 1 thread and 116k edges per batch: about 20 ms. The Python loops run over k rounds, not over nodes, so a
JIT would gain little.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.graph.draws import NodeDraws
from graphstorm_like.graph.past import Times
from graphstorm_like.graph.store import Block, ExcludedEdges, Hop, IntArray, NodeIds, NodeType, Relation, Subgraph


def sample_hop(
    indptr: IntArray, sources: npt.NDArray[np.integer], targets: IntArray, fanout: int, draws: NodeDraws
) -> Hop:
    """Up to `fanout` distinct in-edges (-1: all) of each of S target ids, from CSC arrays indptr [N+1], sources [E]."""
    start = np.asarray(indptr[targets], dtype=np.int64)
    degree = np.asarray(indptr[targets + 1], dtype=np.int64) - start
    rows, offsets, edge_ids = drawn_edges(start, degree, targets, fanout, draws)
    return Hop(rows, offsets, sources[edge_ids].astype(np.int64, copy=False), edge_ids)


def drawn_edges(
    start: IntArray, degree: IntArray, targets: IntArray, fanout: int, draws: NodeDraws, bounds: Times | None = None
) -> tuple[IntArray, IntArray, IntArray]:
    """(rows, offsets, edge_ids) of a Hop: up to `fanout` of the edges start..start + degree - 1 [S] of each target."""
    take = degree if fanout < 0 else np.minimum(degree, fanout)
    rows = np.flatnonzero(take)
    count = take[rows]
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum(count, out=offsets[1:])
    # The first `take` edges of each row: correct for rows that keep all their edges; the others are drawn below.
    edge_ids = np.repeat(start[rows] - offsets[:-1], count)
    edge_ids += np.arange(len(edge_ids))
    if fanout > 0:
        large = np.flatnonzero(degree[rows] > fanout)
        if len(large):
            some = rows[large]
            of_some = None if bounds is None else bounds[some]
            picks = draw_distinct(degree[some], draws.uniform(targets[some], fanout, of_some))
            at = offsets[large][:, None] + np.arange(fanout)
            edge_ids[at] = start[rows[large]][:, None] + picks
    return rows, offsets, edge_ids


def draw_distinct(sizes: IntArray, uniform: npt.NDArray[np.float64]) -> IntArray:
    """[n, k] distinct integers per row, row i uniform over the k-subsets of range(sizes[i]); sizes >= k. uniform:
    [k, n] random numbers in [0, 1).

    R. Floyd's sampling (Bentley & Floyd, CACM 1987), all rows at once.
    """
    k = len(uniform)
    picks = np.empty((len(sizes), k), dtype=np.int64)
    for j in range(k):
        top = sizes - k + j
        drawn = (uniform[j] * (top + 1)).astype(np.int64)
        is_repeated = (picks[:, :j] == drawn[:, None]).any(axis=1)
        picks[:, j] = np.where(is_repeated, top, drawn)
    picks.sort(axis=1)
    return picks


def drop_excluded(hop: Hop, targets: IntArray, ends: tuple[IntArray, IntArray], num_sources: int) -> Hop:
    """The hop without the edges whose (source, target) ids are among `ends`."""
    excluded_keys = np.sort(ends[1] * num_sources + ends[0])
    if not len(excluded_keys) or not len(hop.sources):
        return hop
    row_of_edge = np.repeat(np.arange(len(hop.rows)), np.diff(hop.offsets))
    keys = targets[hop.rows][row_of_edge] * num_sources + hop.sources
    at = np.searchsorted(excluded_keys, keys)
    keep = excluded_keys[np.minimum(at, len(excluded_keys) - 1)] != keys
    if keep.all():
        return hop
    count = np.bincount(row_of_edge[keep], minlength=len(hop.rows))
    remaining = np.flatnonzero(count)
    offsets = np.zeros(len(remaining) + 1, dtype=np.int64)
    np.cumsum(count[remaining], out=offsets[1:])
    times = None if hop.times is None else hop.times[keep]
    return Hop(hop.rows[remaining], offsets, hop.sources[keep], hop.edge_ids[keep], times)


DENSE_NODES = 1 << 27


class BatchPositions:
    """Gives the nodes of a batch positions 0, 1, ... in order of arrival, per type.

    A scratch array of four bytes per node makes look-up and de-duplication linear; it is reset after each batch. For a
    type of more than DENSE_NODES nodes, where every trainer would need gigabytes, sorted ids are kept instead, which is
    about ten times slower. Not for concurrent use.
    """

    def __init__(self, counts: Mapping[NodeType, int], dense: int = DENSE_NODES) -> None:
        self._counts, self._dense = dict(counts), dense
        self._position: dict[NodeType, npt.NDArray[np.integer]] = {}
        self._sorted: dict[NodeType, tuple[IntArray, IntArray]] = {}
        """For large types: (ids, ascending; the position of each)."""
        self._ids: dict[NodeType, list[IntArray]] = {}
        self.size: dict[NodeType, int] = {}

    def start(self, seeds: NodeIds) -> None:
        """Begin a batch with distinct seeds."""
        for node_type, position in self._position.items():
            for ids in self._ids[node_type]:
                position[ids] = -1
        self._sorted.clear()
        self._ids = {t: [] for t in self._counts}
        self.size = dict.fromkeys(self._counts, 0)
        for node_type, ids in seeds.items():
            self.positions(node_type, ids)
            assert self.size[node_type] == len(ids), "seeds must be distinct"

    def positions(self, node_type: NodeType, ids: IntArray) -> IntArray:
        """Position of each id; new ids get the next positions."""
        if self._counts[node_type] > self._dense:
            return self._positions_of_sorted(node_type, ids)
        if node_type not in self._position:
            count = self._counts[node_type]
            self._position[node_type] = np.full(count, -1, dtype=np.int32 if count < 2**31 else np.int64)
        position = self._position[node_type]
        positions = position[ids]
        fresh = ids[positions < 0]
        if len(fresh):
            # Among equal ids the last write wins: exactly one of them reads its own number back.
            order = np.arange(len(fresh))
            position[fresh] = order
            new = fresh[position[fresh] == order]
            base = self.size[node_type]
            position[new] = np.arange(base, base + len(new))
            self._ids[node_type].append(new)
            self.size[node_type] = base + len(new)
            positions = position[ids]
        return positions.astype(np.int64)

    def _positions_of_sorted(self, node_type: NodeType, ids: IntArray) -> IntArray:
        sorted_ids, positions = self._sorted.get(node_type, (ids[:0], ids[:0]))
        fresh = ids
        if len(sorted_ids):
            at = np.minimum(np.searchsorted(sorted_ids, ids), len(sorted_ids) - 1)
            fresh = ids[sorted_ids[at] != ids]
        new, first = np.unique(fresh, return_index=True)
        if len(new):
            base, arrival = self.size[node_type], np.argsort(first)
            self._ids[node_type].append(new[arrival])
            self.size[node_type] = base + len(new)
            new_positions = np.empty(len(new), dtype=np.int64)
            new_positions[arrival] = np.arange(base, base + len(new))
            insert_at = np.searchsorted(sorted_ids, new)
            sorted_ids = np.insert(sorted_ids, insert_at, new)
            positions = np.insert(positions, insert_at, new_positions)
            self._sorted[node_type] = sorted_ids, positions
        result: IntArray = positions[np.searchsorted(sorted_ids, ids)]
        return result

    def ids(self) -> NodeIds:
        """All ids in order of position; types without ids are left out."""
        return {t: np.concatenate(parts) for t, parts in self._ids.items() if parts}


Hops = Callable[[Sequence[tuple[EdgeType, IntArray, int]]], list[Hop]]
"""[(edge type, target ids, fanout), ...] -> one hop for each."""


def sample_blocks(
    numbering: BatchPositions,
    edge_types: Sequence[EdgeType],
    counts: Mapping[NodeType, int],
    seeds: NodeIds,
    fanouts: Sequence[FanoutByType],
    hops: Hops,
    exclude: ExcludedEdges | None,
) -> Subgraph:
    """Sample layer by layer from the seeds outwards: `hops` draws the edges of a layer, and their nodes get positions
    in the batch here."""
    numbering.start(seeds)
    blocks: list[Block[IntArray]] = []
    for fanout in fanouts:
        num_dst = {t: n for t, n in numbering.size.items() if n}
        targets = numbering.ids()
        requested = [(e, targets[e[2]], k) for e in edge_types if e[2] in targets and (k := fanout.of(e))]
        relations: dict[EdgeType, Relation[IntArray]] = {}
        for (edge_type, ids, _), hop in zip(requested, hops(requested), strict=True):
            if exclude is not None and edge_type in exclude.ends:
                hop = drop_excluded(hop, ids, exclude.ends[edge_type], counts[edge_type[0]])
            if len(hop.sources):
                local = numbering.positions(edge_type[0], hop.sources)
                relations[edge_type] = Relation(hop.rows, hop.offsets, local, hop.edge_ids)
        num_src = {t: n for t, n in numbering.size.items() if n}
        blocks.append(Block(num_src, num_dst, relations))
    return Subgraph(tuple(reversed(blocks)), numbering.ids())


def merge_hops(hops: Sequence[Hop], positions: Sequence[IntArray], edge_starts: Sequence[int]) -> Hop:
    """Hops of several partitions into parts of one list of targets -> one hop into the whole list.

    positions: where each partition's targets stand in the list. edge_starts: the edge id of each partition's first row.
    """
    rows = np.concatenate([at[hop.rows] for hop, at in zip(hops, positions, strict=True)])
    count = np.concatenate([np.diff(hop.offsets) for hop in hops])
    sources = np.concatenate([hop.sources for hop in hops])
    edge_ids = np.concatenate([hop.edge_ids + start for hop, start in zip(hops, edge_starts, strict=True)])
    begin = np.cumsum(count) - count
    order = np.argsort(rows)
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum(count[order], out=offsets[1:])
    at = np.repeat(begin[order] - offsets[:-1], count[order])
    at += np.arange(len(at))
    known = [hop.times for hop in hops if hop.times is not None]
    times = np.concatenate(known)[at] if known else None  # those who have no times have no edges
    return Hop(rows[order], offsets, sources[at], edge_ids[at], times)
