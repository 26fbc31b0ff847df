"""A graph, and new nodes and edges after it, which are in memory: for a server that gets them in a request.

New nodes take the positions after those of the graph, new edges the numbers after its edges; the graph itself stays as
it is. Only topology: rows of features and texts come from sources that know both (`serve`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.graph.draws import NodeDraws
from graphstorm_like.graph.partition_reader import Column, HiddenEdges, Part
from graphstorm_like.graph.partitioned_graph import PartitionedGraph
from graphstorm_like.graph.past import HopRequest
from graphstorm_like.graph.sample import BatchPositions, sample_hop
from graphstorm_like.graph.schema import GraphManifest, PartitionSchema
from graphstorm_like.graph.shared import Ragged
from graphstorm_like.graph.store import Hop, IntArray, NodeType
from graphstorm_like.pending import Pending

Ends = tuple[IntArray, IntArray]
"""Positions of the sources and of the targets of edges."""


class Overlay(PartitionedGraph):
    """`base` with `counts` new nodes by type, and new edges by type; those of reverse types must be among them.

    numbering: of batches, with room for the new nodes; one that is shared spares an array as long as the graph's nodes.
    passing: which of a type's new edges [n] pass messages; of types that are left out all do.
    """

    samples_by_time = False

    def __init__(
        self,
        base: PartitionedGraph,
        counts: Mapping[NodeType, int],
        edges: Mapping[EdgeType, Ends],
        numbering: BatchPositions,
        passing: Mapping[EdgeType, npt.NDArray[np.bool_]] | None = None,
    ) -> None:
        self._base, self._edges = base, {e: ends for e, ends in edges.items() if len(ends[0])}
        self._passing = passing or {}
        self.only_scored = True
        super().__init__(base.folder, _grown(base, counts, edges), {}, None, self._parts)
        self._numbering = numbering

    def new_edges(self, edge_type: EdgeType) -> Ends:
        """Ends of the new edges of a type, in their order."""
        nothing = np.empty(0, dtype=np.int64)
        return self._edges.get(edge_type, (nothing, nothing))

    def _parts(self, hidden: HiddenEdges) -> list[Part]:
        """The base's parts, each with the new edges into its nodes, and the part of the new nodes. What is hidden in
        the base stays hidden there."""
        parts: list[Part] = []
        for p, part in enumerate(self._base.parts):
            added: dict[EdgeType, InEdges] = {}
            for edge_type, (sources, targets) in self._edges.items():
                starts = self._base.starts(edge_type[2])
                mine = self._messages(edge_type, (targets >= starts[p]) & (targets < starts[p + 1]))
                if len(mine):
                    # Numbers count from the part's first edge, as those of its own edges do.
                    number = self._base.manifest.edge(edge_type).count - int(self._base.starts(edge_type)[p])
                    added[edge_type] = InEdges(sources[mine], targets[mine] - starts[p], mine + number)
            parts.append(WithEdges(part, added) if added else part)
        parts.append(NewPart(self._into_new_nodes()))
        return parts

    def _messages(self, edge_type: EdgeType, among: npt.NDArray[np.bool_]) -> IntArray:
        """Numbers of the new edges `among` those of a type that pass messages."""
        passing = self._passing.get(edge_type)
        return np.flatnonzero(among if passing is None else among & passing)

    def _into_new_nodes(self) -> dict[EdgeType, InEdges]:
        of_new: dict[EdgeType, InEdges] = {}
        for edge_type, (sources, targets) in self._edges.items():
            first = int(self._base.starts(edge_type[2])[-1])
            mine = self._messages(edge_type, targets >= first)
            of_new[edge_type] = InEdges(sources[mine], targets[mine] - first, mine)
        return of_new


def _grown(base: PartitionedGraph, counts: Mapping[NodeType, int], edges: Mapping[EdgeType, Ends]) -> GraphManifest:
    """The manifest with the new rows as one more partition."""
    manifest = base.manifest
    nodes = {
        name: node.model_copy(update={"count": node.count + counts.get(name, 0)})
        for name, node in manifest.nodes.items()
    }
    grown, ranges = [], {}
    for edge in manifest.edges:
        added = len(edges[edge.edge_type][0]) if edge.edge_type in edges else 0
        ranges[edge_name(edge.edge_type)] = (edge.count, edge.count + added)
        grown.append(edge.model_copy(update={"count": edge.count + added}))
    partitions = []
    for p, partition in enumerate(manifest.partitions):
        of_part = {}
        for edge in manifest.edges:
            starts = base.starts(edge.edge_type)
            of_part[edge_name(edge.edge_type)] = (int(starts[p]), int(starts[p + 1]))
        partitions.append(partition.model_copy(update={"edge_ranges": of_part}))
    new_nodes = {name: (node.count, nodes[name].count) for name, node in manifest.nodes.items()}
    partitions.append(
        PartitionSchema(folder="new", node_ranges=new_nodes, edge_ranges=ranges, node_files={}, edge_files={}, bytes=0)
    )
    return manifest.model_copy(update={"nodes": nodes, "edges": grown, "partitions": partitions})


class InEdges:
    """A few edges, found by their targets. targets: rows of a part; numbers: what a hop calls the edges."""

    def __init__(self, sources: IntArray, targets: IntArray, numbers: IntArray) -> None:
        order = np.argsort(targets, kind="stable")
        self._targets, count = np.unique(targets, return_counts=True)
        # One more target, without edges, stands for all that have none.
        self._indptr = np.concatenate([[0], np.cumsum(count), [len(order)]])
        self._sources, self._numbers = sources[order], numbers[order]

    def hop(self, rows: IntArray, fanout: int, draws: NodeDraws) -> Hop:
        """Up to `fanout` (-1: all) of the edges into each of some rows."""
        at = np.searchsorted(self._targets, rows)
        there = np.append(self._targets, -1)[at] == rows
        hop = sample_hop(self._indptr, self._sources, np.where(there, at, len(self._targets)), fanout, draws)
        return Hop(hop.rows, hop.offsets, hop.sources, self._numbers[hop.edge_ids])


class NewPart:
    """The part of the new nodes: the edges into them."""

    def __init__(self, edges: Mapping[EdgeType, InEdges]) -> None:
        self._edges = edges

    def begin_hops(self, requests: Sequence[HopRequest], seed: int) -> Pending[list[Hop]]:
        """See Part."""
        hops = [_added_hop(self._edges, request, seed) for request in requests]
        return Pending(lambda: hops)

    def begin_rows(self, column: Column, rows: IntArray) -> Pending[Any]:
        """See Part."""
        raise AssertionError("rows of an overlay come from sources that know both")

    def begin_ragged(self, column: Column, rows: IntArray, values: bool) -> Pending[Ragged]:
        """See Part."""
        raise AssertionError("rows of an overlay come from sources that know both")

    def column(self, column: Column) -> Any:
        """See Part."""
        raise AssertionError("rows of an overlay come from sources that know both")


class WithEdges(NewPart):
    """A part of the base with new edges into its nodes."""

    def __init__(self, part: Part, edges: Mapping[EdgeType, InEdges]) -> None:
        super().__init__(edges)
        self._part = part

    def begin_hops(self, requests: Sequence[HopRequest], seed: int) -> Pending[list[Hop]]:
        """See Part. With a fanout, up to as many of the part's edges, and up to as many of the new ones."""
        pending = self._part.begin_hops(requests, seed)
        added = [_added_hop(self._edges, request, seed + 1) for request in requests]  # other draws than the part's
        return Pending(lambda: [both_hops(own, more) for own, more in zip(pending.wait(), added, strict=True)])


def _added_hop(edges: Mapping[EdgeType, InEdges], request: HopRequest, seed: int) -> Hop:
    if request.edge_type in edges:
        return edges[request.edge_type].hop(request.rows, request.fanout, NodeDraws(seed, request.edge_type))
    return Hop.empty()


def both_hops(first: Hop, second: Hop) -> Hop:
    """The edges of two hops into the same list of targets; those of the first come first."""
    if not len(second.sources):
        return first
    of_first, of_second = np.diff(first.offsets), np.diff(second.offsets)
    rows = np.concatenate([np.repeat(first.rows, of_first), np.repeat(second.rows, of_second)])
    order = np.argsort(rows, kind="stable")
    distinct, count = np.unique(rows, return_counts=True)
    sources = np.concatenate([first.sources, second.sources])[order]
    numbers = np.concatenate([first.edge_ids, second.edge_ids])[order]
    return Hop(distinct, np.concatenate([[0], np.cumsum(count)]), sources, numbers)
