"""Averages of neighbours' inputs, hop by hop and relation by relation, as inputs of the nodes they lead to.

Of hop k a node type has one table for each input of any type that reaches it: the parts of a row are the means over the
node's neighbours by each relation, of what hop k - 1 gave them. Nodes without a neighbour have zeros. Each rank
computes the rows of its own nodes; in a single process tables are in files that are gone when the process ends.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import embedding_bag

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.files import SCRATCH
from graphstorm_like.graph.moments import Moments, sampled_moments
from graphstorm_like.graph.store import Block, Graph, IntArray, NodeIds, NodeType
from graphstorm_like.pending import Pending
from graphstorm_like.ranks.tables import RowTable
from graphstorm_like.ranks.torch_group import cluster, group
from graphstorm_like.sampling.batch import torch_subgraph
from graphstorm_like.sampling.rng import stream
from graphstorm_like.sampling.steps import FeatureSource

Origin = tuple[NodeType, str]
"""The input that averages are of: its node type and its name."""
Rows = npt.NDArray[np.float32]
ALL = FanoutByType(default=-1)
MOST_NODES, MOST_EDGES = 4096, 200_000
"""Targets and edges at once, at most: at 384 numbers an input 0.3 GB."""
SAMPLE = 8192
"""Rows that means and deviations are of, at most."""


@dataclass(frozen=True)
class HopInput:
    """An input made of averages. parts: by which relations."""

    table: RowTable
    parts: list[EdgeType]
    origin: Origin

    @property
    def width(self) -> int:
        """Numbers of each part."""
        return self.table.shape[1] // len(self.parts)

    def moments(self, known: Mapping[Origin, Moments]) -> Moments:
        """(mean, deviation) of its numbers: those known of its origin, as the model reads that itself, else of evenly
        spaced rows."""
        count, width = self.table.shape
        if self.origin in known:
            mean, deviation = known[self.origin]
            return np.tile(mean, len(self.parts)), np.tile(deviation, len(self.parts))
        if not count:  # of a graph that is only scored: what the model learnt comes with its weights
            return np.zeros(width), np.ones(width)
        chosen = np.unique(np.linspace(0, count - 1, min(count, SAMPLE)).astype(np.int64))
        return sampled_moments(self.table.rows(chosen))


HopInputs = dict[NodeType, dict[str, HopInput]]
Before = dict[NodeType, dict[Origin, FeatureSource]]


def hop_inputs(
    graph: Graph,
    sources: Mapping[NodeType, Mapping[str, FeatureSource]],
    widths: Mapping[Origin, int],
    reach: int,
    only: Collection[NodeType] | None = None,
) -> HopInputs:
    """Inputs of each node type, or of those in `only`, by name, 'hop<k>:<type>:<input>'. sources: those to average;
    widths: of each."""
    types = list(graph.manifest.nodes if only is None else only)
    made: HopInputs = {node_type: {} for node_type in types}
    before: Before = {}
    for node_type in graph.manifest.nodes:
        of_type = sources.get(node_type, {})
        before[node_type] = {(node_type, name): of_type[name] for name in of_type if (node_type, name) in widths}
    for hop in range(1, reach + 1):
        after: Before = {}
        for node_type in types:
            after[node_type] = {}
            for origin, found in _one_hop(graph, node_type, before, widths).items():
                made[node_type][f"hop{hop}:{origin[0]}:{origin[1]}"] = found
                after[node_type][origin] = MeanOfParts(found)
        group().barrier(f"averages of hop {hop}")
        before = after
    return made


def _one_hop(graph: Graph, node_type: NodeType, before: Before, widths: Mapping[Origin, int]) -> dict[Origin, HopInput]:
    """The averages that reach the nodes of a type."""
    into = [edge.edge_type for edge in graph.manifest.edges if edge.edge_type[2] == node_type]
    found: dict[Origin, HopInput] = {}
    for origin in dict.fromkeys(origin for edge_type in into for origin in before[edge_type[0]]):
        parts = [edge_type for edge_type in into if origin in before[edge_type[0]]]
        found[origin] = HopInput(_table(graph, node_type, len(parts) * widths[origin]), parts, origin)
    if not found:
        return {}
    any_table = next(iter(found.values())).table
    for ids in _chunks(graph, into, any_table.start, any_table.stop):
        sampled = graph.sample({node_type: ids}, [ALL], stream(0, "inference"))
        for origin, hop_input in found.items():
            of_origin = {edge_type: before[edge_type[0]][origin] for edge_type in hop_input.parts}
            means = _means(torch_subgraph(sampled)[0][0], sampled.input_ids, of_origin, hop_input.width, len(ids))
            hop_input.table.put(int(ids[0]), means)
    return found


def _means(
    block: Block, input_ids: NodeIds, sources: Mapping[EdgeType, FeatureSource], width: int, targets: int
) -> Rows:
    """[targets, relations * width]: means over the neighbours by each relation, side by side. sources: of the rows of
    neighbours, by relation."""
    out = np.zeros((targets, len(sources) * width), dtype=np.float32)
    for number, (edge_type, source) in enumerate(sources.items()):
        if edge_type not in block.relations:
            continue
        relation = block.relations[edge_type]
        distinct, at = np.unique(relation.sources.numpy(), return_inverse=True)
        rows = np.asarray(source.rows(input_ids[edge_type[0]][distinct]), dtype=np.float32)
        means = embedding_bag(torch.from_numpy(at), torch.from_numpy(rows), relation.offsets[:-1], mode="mean")
        out[relation.rows.numpy(), number * width : (number + 1) * width] = means.numpy()
    return out


class MeanOfParts:
    """A FeatureSource: the mean over the parts of averages [N, parts * D] -> [N, D]; parts that are 0, since a node has
    no neighbours by their relation, do not count."""

    def __init__(self, averages: HopInput) -> None:
        self._averages = averages

    def rows(self, ids: IntArray) -> Rows:
        """[N, D]"""
        parts = self._averages.table.rows(ids).reshape(len(ids), len(self._averages.parts), -1)
        present = (parts != 0.0).any(axis=2).sum(axis=1)
        mean: Rows = parts.sum(axis=1) / np.maximum(present, 1)[:, None].astype(np.float32)
        return mean

    def begin_rows(self, ids: IntArray) -> Pending[Rows]:
        """See FeatureSource."""
        return Pending(lambda: self.rows(ids))


def _table(graph: Graph, node_type: NodeType, width: int) -> RowTable:
    where, members = cluster(), group()
    if members.size > 1:
        return RowTable(graph, node_type, width, members, None if where is None else where.shm)
    descriptor, name = tempfile.mkstemp(prefix=SCRATCH)
    file = Path(name)
    try:
        return RowTable(graph, node_type, width, members, None, file)
    finally:  # mapped by now: the space is given back when the process ends, however it ends
        os.close(descriptor)
        file.unlink()


def _chunks(graph: Graph, into: list[EdgeType], first: int, last: int) -> Iterator[IntArray]:
    """Consecutive ids of first..last-1 with at most MOST_NODES nodes and (one node excepted) MOST_EDGES edges."""
    edges = np.zeros(last - first + 1, dtype=np.int64)
    for edge_type in into:
        edges[1:] += graph.degrees(edge_type, first, last)
    np.cumsum(edges, out=edges)
    start, count = 0, last - first
    while start < count:
        stop = int(np.searchsorted(edges, edges[start] + MOST_EDGES, side="right")) - 1
        stop = min(max(stop, start + 1), start + MOST_NODES, count)
        yield np.arange(first + start, first + stop)
        start = stop
