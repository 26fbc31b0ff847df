"""Temporal neighbour sampling (see `graph.past`): as `graph.sample`, but of each seed's past alone.

Nodes of a batch are numbered by (bound, id), for a node may be there once for each bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.graph.draws import NodeDraws
from graphstorm_like.graph.past import HopRequest, Past, TimeBounds, Times, ages, in_time_order, past_ranges
from graphstorm_like.graph.sample import BatchPositions, drawn_edges, drop_excluded
from graphstorm_like.graph.store import Block, ExcludedEdges, Hop, IntArray, NodeIds, NodeType, Relation, Subgraph


@dataclass(frozen=True, slots=True)
class TimedMessages:
    """CSC of a message graph whose edges ascend in time within a target: indptr [N+1], sources [E], times [E] (None:
    the type has none), and the rows [E] that the edges have in their table (None: 0, 1, ...)."""

    indptr: IntArray
    sources: npt.NDArray[np.integer]
    edge_rows: IntArray | None
    times: Times | None

    @staticmethod
    def of(
        indptr: IntArray, sources: npt.NDArray[np.integer], edge_rows: IntArray | None, times: Times | None
    ) -> TimedMessages:
        """Of edges in any order within a target; nothing is copied when they stand right."""
        order = None if times is None else in_time_order(indptr, times)
        if times is None or order is None:
            return TimedMessages(indptr, sources, edge_rows, times)
        rows = order if edge_rows is None else edge_rows[order]
        return TimedMessages(indptr, sources[order], rows, times[order])


def sample_past(
    messages: TimedMessages, targets: IntArray, bounds: Times, fanout: int, past: Past, draws: NodeDraws
) -> Hop:
    """Up to `fanout` distinct in-edges (-1: all) of the past of each of S (target id, bound); edge ids count in the
    order of `messages`."""
    if messages.times is None:
        first = np.asarray(messages.indptr[targets], dtype=np.int64)
        stop = np.asarray(messages.indptr[targets + 1], dtype=np.int64)
    else:
        first, stop = past_ranges(messages.indptr, messages.times, targets, bounds, past)
        if past.latest and fanout >= 0:
            first = np.maximum(first, stop - fanout)
    rows, offsets, edge_ids = drawn_edges(first, stop - first, targets, fanout, draws, bounds)
    sources = messages.sources[edge_ids].astype(np.int64, copy=False)
    return Hop(rows, offsets, sources, edge_ids, None if messages.times is None else messages.times[edge_ids])


def sample_past_blocks(
    plain: BatchPositions,
    edge_types: Sequence[EdgeType],
    counts: Mapping[NodeType, int],
    seeds: NodeIds,
    fanouts: Sequence[FanoutByType],
    hops: Callable[[Sequence[HopRequest]], list[Hop]],
    exclude: ExcludedEdges | None,
    bounds: TimeBounds,
) -> Subgraph:
    """As `sample_blocks`; `hops` gets requests with global ids and bounds. plain: numbers nodes that all have the same
    bound, which is faster."""
    distinct = np.unique(np.concatenate([bounds.seeds[t] for t in seeds]))
    numbering = plain
    if len(distinct) > 1:
        numbering = BatchPositions({t: count * len(distinct) for t, count in counts.items()}, dense=0)
    keys = {}
    for node_type, ids in seeds.items():
        keys[node_type] = np.searchsorted(distinct, bounds.seeds[node_type]) * counts[node_type] + ids
    numbering.start(keys)
    blocks: list[Block[IntArray]] = []
    for fanout in fanouts:
        num_dst = {t: n for t, n in numbering.size.items() if n}
        which, targets = _split_keys(numbering, counts)
        bounds_of = {t: distinct[of_type] for t, of_type in which.items()}  # relations into a type share their array
        requests = []
        for edge_type in edge_types:
            target_type = edge_type[2]
            if target_type in targets and (most := fanout.of(edge_type)):
                past = bounds.of(edge_type)
                requests.append(HopRequest(edge_type, targets[target_type], most, bounds_of[target_type], past))
        relations: dict[EdgeType, Relation[IntArray]] = {}
        for request, hop in zip(requests, hops(requests), strict=True):
            source_type, _, target_type = edge_type = request.edge_type
            if exclude is not None and edge_type in exclude.ends:
                hop = drop_excluded(hop, request.rows, exclude.ends[edge_type], counts[source_type])
            if len(hop.sources):
                of_edges = which[target_type][np.repeat(hop.rows, np.diff(hop.offsets))]
                local = numbering.positions(source_type, of_edges * counts[source_type] + hop.sources)
                age = None if hop.times is None else ages(distinct[of_edges], hop.times)
                relations[edge_type] = Relation(hop.rows, hop.offsets, local, hop.edge_ids, ages=age)
        num_src = {t: n for t, n in numbering.size.items() if n}
        blocks.append(Block(num_src, num_dst, relations))
    which, input_ids = _split_keys(numbering, counts)
    return Subgraph(tuple(reversed(blocks)), input_ids, {t: distinct[of_type] for t, of_type in which.items()})


def _split_keys(numbering: BatchPositions, counts: Mapping[NodeType, int]) -> tuple[NodeIds, NodeIds]:
    """(which bound, node id) of all positions, by type."""
    keys = numbering.ids()
    return {t: of_type // counts[t] for t, of_type in keys.items()}, {
        t: of_type % counts[t] for t, of_type in keys.items()
    }
