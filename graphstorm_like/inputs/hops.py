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
from graphstorm_like.errors import DataError
from graphstorm_like.files import SCRATCH
from graphstorm_like.graph.moments import Moments, sampled_moments
from graphstorm_like.graph.store import Block, Graph, IntArray, NodeIds, NodeType
from graphstorm_like.modality import split_input_name
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
MOST_NODES, MOST_EDGES, MOST_NUMBERS = 4096, 200_000, 2**26
"""Targets, edges, and numbers of either at once, at most: 0.3 GB of numbers."""
MOST_BYTES = 100 * 10**9
"""Of all averages on a host. They are read at random, row by row: far beyond the memory each row is a read of the disk.
16,384 words of the 68,824 Debian packages are 176 GB over two hops."""
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
        most = max(1, min(count, SAMPLE, 2 * MOST_NUMBERS // width))
        chosen = np.unique(np.linspace(0, count - 1, most).astype(np.int64))
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
    widths: of each. DataError when they would take more than MOST_BYTES."""
    types = list(graph.manifest.nodes if only is None else only)
    _check_size(graph, widths, reach, types)
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
    found: dict[Origin, HopInput] = {}
    for origin, parts in _parts(graph, node_type, before).items():
        found[origin] = HopInput(_table(graph, node_type, len(parts) * widths[origin]), parts, origin)
    if not found:
        return {}
    any_table = next(iter(found.values())).table
    into = _into(graph, node_type)
    most_nodes = max(1, min(MOST_NODES, MOST_NUMBERS // max(each.table.shape[1] for each in found.values())))
    most_edges = max(1, min(MOST_EDGES, MOST_NUMBERS // max(each.width for each in found.values())))
    for ids in _chunks(graph, into, any_table.start, any_table.stop, most_nodes, most_edges):
        sampled = graph.sample({node_type: ids}, [ALL], stream(0, "inference"))
        for origin, hop_input in found.items():
            of_origin = {edge_type: before[edge_type[0]][origin] for edge_type in hop_input.parts}
            means = _means(torch_subgraph(sampled)[0][0], sampled.input_ids, of_origin, hop_input.width, len(ids))
            hop_input.table.put(int(ids[0]), means)
    return found


def _into(graph: Graph, node_type: NodeType) -> list[EdgeType]:
    return [edge.edge_type for edge in graph.manifest.edges if edge.edge_type[2] == node_type]


def _parts(
    graph: Graph, node_type: NodeType, before: Mapping[NodeType, Collection[Origin]]
) -> dict[Origin, list[EdgeType]]:
    """By which relations each input reaches the nodes of a type."""
    parts: dict[Origin, list[EdgeType]] = {}
    for edge_type in _into(graph, node_type):
        for origin in before[edge_type[0]]:
            parts.setdefault(origin, []).append(edge_type)
    return parts


def _check_size(graph: Graph, widths: Mapping[Origin, int], reach: int, types: Collection[NodeType]) -> None:
    """DataError when the averages would be too large, before there are any."""
    sizes = dict.fromkeys(widths, 0)
    before: dict[NodeType, list[Origin]] = {}
    for node_type in graph.manifest.nodes:
        before[node_type] = [origin for origin in widths if origin[0] == node_type]
    for _ in range(reach):
        after: dict[NodeType, list[Origin]] = {}
        for node_type in types:
            parts = _parts(graph, node_type, before)
            for origin, edge_types in parts.items():
                sizes[origin] += 4 * graph.manifest.node(node_type).count * len(edge_types) * widths[origin]
            after[node_type] = list(parts)
        before = after
    total = sum(sizes.values()) / group().hosts
    if total <= MOST_BYTES:
        return
    (node_type, full_name), largest = max(sizes.items(), key=lambda item: item[1])
    modality, name = split_input_name(full_name)
    key, narrower = modality or "features", ""
    if modality is None:
        narrower = f", or make it narrower (max_words or max_categories of graph.nodes.{node_type}.features.{name})"
    raise DataError(
        f"{graph.folder}: averages of neighbours must take at most {MOST_BYTES / 1e9:,.4g} GB on a host (got "
        f"{total / 1e9:,.4g} GB, of which {largest / group().hosts / 1e9:,.4g} GB are of {name} of {node_type}, "
        f"{widths[node_type, full_name]:,} numbers for each node and relation). Leave it out of "
        f"model.inputs.{node_type}.{key}{narrower}"
    )


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


def _chunks(
    graph: Graph, into: list[EdgeType], first: int, last: int, most_nodes: int, most_edges: int
) -> Iterator[IntArray]:
    """Consecutive ids of first..last-1 with at most most_nodes nodes and (one node excepted) most_edges edges."""
    edges = np.zeros(last - first + 1, dtype=np.int64)
    for edge_type in into:
        edges[1:] += graph.degrees(edge_type, first, last)
    np.cumsum(edges, out=edges)
    start, count = 0, last - first
    while start < count:
        stop = int(np.searchsorted(edges, edges[start] + most_edges, side="right")) - 1
        stop = min(max(stop, start + 1), start + most_nodes, count)
        yield np.arange(first + start, first + stop)
        start = stop
