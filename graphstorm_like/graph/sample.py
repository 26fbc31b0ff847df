"""Neighbour sampling over CSC arrays, in numpy: exact, without replacement, no Python loop over nodes or edges.

Floyd's algorithm draws k of d neighbours in k vectorised rounds over all nodes that have more than k.
Measured, 1 thread, 116k edges a batch: about 20 ms; the loops that a JIT would remove are k rounds, not nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.graph.store import Block, ExcludedEdges, Hop, IntArray, NodeIds, NodeType, Relation, Subgraph


def sample_hop(
    indptr: IntArray, sources: npt.NDArray[np.integer], targets: IntArray, fanout: int, rng: np.random.Generator
) -> Hop:
    """Up to `fanout` distinct in-edges (-1: all) of each of S target ids, from CSC arrays indptr [N+1], sources [E]."""
    start = np.asarray(indptr[targets], dtype=np.int64)
    degree = np.asarray(indptr[targets + 1], dtype=np.int64) - start
    take = degree if fanout < 0 else np.minimum(degree, fanout)
    rows = np.flatnonzero(take)
    count = take[rows]
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum(count, out=offsets[1:])
    # The first `take` edges of each row: right for rows that keep all; the others are drawn below.
    edge_ids = np.repeat(start[rows] - offsets[:-1], count)
    edge_ids += np.arange(len(edge_ids))
    if fanout > 0:
        large = np.flatnonzero(degree[rows] > fanout)
        if len(large):
            picks = draw_distinct(degree[rows[large]], fanout, rng)
            at = offsets[large][:, None] + np.arange(fanout)
            edge_ids[at] = start[rows[large]][:, None] + picks
    return Hop(rows, offsets, sources[edge_ids].astype(np.int64, copy=False), edge_ids)


def draw_distinct(sizes: IntArray, k: int, rng: np.random.Generator) -> IntArray:
    """[n, k] distinct integers per row, row i uniform over the k-subsets of range(sizes[i]); sizes >= k.

    R. Floyd's sampling (Bentley & Floyd, CACM 1987), all rows at once.
    """
    picks = np.empty((len(sizes), k), dtype=np.int64)
    uniform = rng.random((k, len(sizes)))
    for j in range(k):
        top = sizes - k + j
        drawn = (uniform[j] * (top + 1)).astype(np.int64)
        taken = (picks[:, :j] == drawn[:, None]).any(axis=1)
        picks[:, j] = np.where(taken, top, drawn)
    picks.sort(axis=1)
    return picks


def drop_excluded(hop: Hop, targets: IntArray, ends: tuple[IntArray, IntArray], num_sources: int) -> Hop:
    """The hop without the edges whose (source, target) ids are among `ends`."""
    unwanted = np.sort(ends[1] * num_sources + ends[0])
    if not len(unwanted) or not len(hop.sources):
        return hop
    row_of_edge = np.repeat(np.arange(len(hop.rows)), np.diff(hop.offsets))
    keys = targets[hop.rows][row_of_edge] * num_sources + hop.sources
    at = np.searchsorted(unwanted, keys)
    keep = unwanted[np.minimum(at, len(unwanted) - 1)] != keys
    if keep.all():
        return hop
    count = np.bincount(row_of_edge[keep], minlength=len(hop.rows))
    left = np.flatnonzero(count)
    offsets = np.zeros(len(left) + 1, dtype=np.int64)
    np.cumsum(count[left], out=offsets[1:])
    return Hop(hop.rows[left], offsets, hop.sources[keep], hop.edge_ids[keep])


DENSE_NODES = 1 << 27


class BatchPositions:
    """Gives the nodes of a batch positions 0, 1, ... in order of arrival, per type.

    A scratch array of four bytes a node makes look-up and de-duplication linear; it is cleaned after each batch. Of a
    type of more than DENSE_NODES, for which every trainer would need gigabytes, the ids are kept sorted instead, some
    ten times slower. Not for concurrent use.
    """

    def __init__(self, counts: Mapping[NodeType, int]) -> None:
        self._counts = dict(counts)
        self._position: dict[NodeType, npt.NDArray[np.integer]] = {}
        self._sorted: dict[NodeType, tuple[IntArray, IntArray]] = {}
        """(ids, ascending, and the position of each) of large types."""
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
        """Position of each id; ids not seen before get the next ones."""
        if self._counts[node_type] > DENSE_NODES:
            return self._positions_of_sorted(node_type, ids)
        if node_type not in self._position:
            count = self._counts[node_type]
            self._position[node_type] = np.full(count, -1, dtype=np.int32 if count < 2**31 else np.int64)
        position = self._position[node_type]
        found = position[ids]
        fresh = ids[found < 0]
        if len(fresh):
            # Of equal ids the last write wins: exactly one of them reads its own number back.
            order = np.arange(len(fresh))
            position[fresh] = order
            new = fresh[position[fresh] == order]
            base = self.size[node_type]
            position[new] = np.arange(base, base + len(new))
            self._ids[node_type].append(new)
            self.size[node_type] = base + len(new)
            found = position[ids]
        return found.astype(np.int64)

    def _positions_of_sorted(self, node_type: NodeType, ids: IntArray) -> IntArray:
        known, places = self._sorted.get(node_type, (ids[:0], ids[:0]))
        fresh = ids
        if len(known):
            fresh = ids[known[np.minimum(np.searchsorted(known, ids), len(known) - 1)] != ids]
        new, first = np.unique(fresh, return_index=True)
        if len(new):
            base, arrival = self.size[node_type], np.argsort(first)
            self._ids[node_type].append(new[arrival])
            self.size[node_type] = base + len(new)
            next_places = np.empty(len(new), dtype=np.int64)
            next_places[arrival] = np.arange(base, base + len(new))
            at = np.searchsorted(known, new)
            known, places = np.insert(known, at, new), np.insert(places, at, next_places)
            self._sorted[node_type] = known, places
        found: IntArray = places[np.searchsorted(known, ids)]
        return found

    def ids(self) -> NodeIds:
        """All ids in order of position, types without any left out."""
        return {t: np.concatenate(parts) for t, parts in self._ids.items() if parts}


Hops = Callable[[Sequence[tuple[EdgeType, IntArray, int]]], list[Hop]]
"""[(edge type, target ids, fanout), ...] -> a hop for each."""


def sample_blocks(
    numbering: BatchPositions,
    edge_types: Sequence[EdgeType],
    counts: Mapping[NodeType, int],
    seeds: NodeIds,
    fanouts: Sequence[FanoutByType],
    hops: Hops,
    exclude: ExcludedEdges | None,
) -> Subgraph:
    """Layer by layer from the seeds outwards; `hops` draws the edges of a layer, here they get local numbers."""
    numbering.start(seeds)
    blocks: list[Block[IntArray]] = []
    for fanout in fanouts:
        num_dst = {t: n for t, n in numbering.size.items() if n}
        targets = numbering.ids()
        wanted = [(e, targets[e[2]], k) for e in edge_types if e[2] in targets and (k := fanout.of(e))]
        relations: dict[EdgeType, Relation[IntArray]] = {}
        for (edge_type, ids, _), found in zip(wanted, hops(wanted), strict=True):
            if exclude is not None and edge_type in exclude.ends:
                found = drop_excluded(found, ids, exclude.ends[edge_type], counts[edge_type[0]])
            if len(found.sources):
                local = numbering.positions(edge_type[0], found.sources)
                relations[edge_type] = Relation(found.rows, found.offsets, local, found.edge_ids)
        num_src = {t: n for t, n in numbering.size.items() if n}
        blocks.append(Block(num_src, num_dst, relations))
    return Subgraph(tuple(reversed(blocks)), numbering.ids())


def merge_hops(hops: Sequence[Hop], positions: Sequence[IntArray], edge_starts: Sequence[int]) -> Hop:
    """Hops of several partitions into parts of one list of targets -> the hop into the list.

    positions: where the targets of each partition stand in the list. edge_starts: what its edge rows are counted from.
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
    return Hop(rows[order], offsets, sources[at], edge_ids[at])
