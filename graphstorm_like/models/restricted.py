"""Vectors of some nodes over all their neighbours, layer by layer; nothing is computed that they do not need.

From the last layer back: which nodes does each layer need? Then each layer once, for these alone. The numbers are
those of `Embedder.layer_wise`, up to the order of sums.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import numpy as np
import torch

from graphstorm_like.graph.store import IntArray, NodeIds, NodeType
from graphstorm_like.models.embedding import MAX_EDGES, Embedder, Vectors
from graphstorm_like.models.encoders.base import GraphLayer
from graphstorm_like.sampling.batch import map_tensors, torch_subgraph
from graphstorm_like.sampling.rng import stream
from graphstorm_like.sampling.steps import fetch_edge_inputs


class SomeVectors:
    """Vectors of some nodes of a type, read by the nodes' positions like an array of all [count, D].

    ids [n]: positions, ascending; values [n, D].
    """

    def __init__(self, ids: IntArray, values: Vectors, count: int) -> None:
        self.ids, self.values, self.shape = ids, values, (count, values.shape[1])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | IntArray) -> Vectors:
        wanted = np.arange(len(self))[rows] if isinstance(rows, slice) else np.asarray(rows)
        at = np.searchsorted(self.ids, wanted)
        if len(wanted) and (at.max() >= len(self.ids) or (self.ids[at] != wanted).any()):
            raise IndexError("vectors of these nodes were not computed")
        found: Vectors = self.values[at]
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.asarray(self[:], dtype=dtype)


@torch.inference_mode()
def restricted_vectors(embedder: Embedder, wanted: Mapping[NodeType, IntArray]) -> dict[NodeType, Vectors]:
    """Vectors of nodes [n] by type, which are read by position like those of all nodes."""
    embedder.model.eval()
    last = {node_type: np.unique(ids) for node_type, ids in wanted.items()}
    hops = embedder.model.gnn.num_hops
    needed: list[NodeIds] = [last]
    for layer in reversed(range(hops)):
        needed.insert(0, _sources(embedder, layer, needed[0]))
    hidden = {t: SomeVectors(ids, _encoded(embedder, t, ids), _count(embedder, t)) for t, ids in needed[0].items()}
    if not hops:
        values = {t: _without_graph(embedder, rows.values) for t, rows in hidden.items()}
        hidden = {t: SomeVectors(rows.ids, values[t], len(rows)) for t, rows in hidden.items()}
    joined: dict[NodeType, SomeVectors] = {}
    for index in range(hops):
        layer_of_index = embedder.model.gnn.layers[index]
        assert isinstance(layer_of_index, GraphLayer)
        after = {}
        for node_type, ids in needed[index + 1].items():
            values_of_type = _layer(embedder, index, layer_of_index, node_type, ids, hidden)
            after[node_type] = SomeVectors(ids, values_of_type, _count(embedder, node_type))
        hidden = after
        if embedder.model.gnn.jump is not None:
            joined = {t: _joined(embedder, index, hidden[t], ids, joined.get(t)) for t, ids in last.items()}
    return cast("dict[NodeType, Vectors]", joined or hidden)


def _joined(
    embedder: Embedder, index: int, hidden: SomeVectors, ids: IntArray, before: SomeVectors | None
) -> SomeVectors:
    """What leaves the network after a layer: its vectors of nodes [n], joined to those of the layers before."""
    jump, values = embedder.model.gnn.jump, hidden[ids]
    assert jump is not None
    out = np.empty_like(values)
    for start in range(0, len(values), embedder.batch_size):
        chunk = slice(start, start + embedder.batch_size)
        rows = torch.from_numpy(values[chunk]).to(embedder.device)
        earlier = None if before is None else torch.from_numpy(before.values[chunk]).to(embedder.device)
        out[chunk] = jump(index, rows, earlier).float().cpu().numpy()
    return SomeVectors(ids, out, len(hidden))


def _count(embedder: Embedder, node_type: NodeType) -> int:
    return embedder.graph.manifest.node(node_type).count


def _sources(embedder: Embedder, layer: int, targets: NodeIds) -> NodeIds:
    """The targets and the nodes that they receive messages from in a layer, by type, ascending."""
    found: dict[NodeType, list[IntArray]] = {node_type: [ids] for node_type, ids in targets.items()}
    fanout = embedder.layer_fanout(layer)
    for node_type, ids in targets.items():
        for chunk in _chunks(embedder, node_type, ids):
            sampled = embedder.graph.sample({node_type: chunk}, [fanout], stream(0, "inference"))
            for source_type, source_ids in sampled.input_ids.items():
                found.setdefault(source_type, []).append(source_ids)
    return {node_type: np.unique(np.concatenate(parts)) for node_type, parts in found.items()}


def _chunks(embedder: Embedder, node_type: NodeType, ids: IntArray) -> Iterator[IntArray]:
    """Parts of ids with at most batch_size nodes and (one node excepted) MAX_EDGES edges."""
    edges = np.zeros(len(ids) + 1, dtype=np.int64)
    for edge in embedder.graph.manifest.edges:
        if edge.edge_type[2] == node_type and len(ids):
            cost = 1 + embedder.model.edge_widths.get(edge.edge_type, 0) // 128
            first, last = int(ids[0]), int(ids[-1]) + 1
            edges[1:] += cost * embedder.graph.degrees(edge.edge_type, first, last)[ids - first]
    np.cumsum(edges, out=edges)
    start = 0
    while start < len(ids):
        stop = int(np.searchsorted(edges, edges[start] + MAX_EDGES, side="right")) - 1
        stop = min(max(stop, start + 1), start + embedder.batch_size, len(ids))
        yield ids[start:stop]
        start = stop


def _encoded(embedder: Embedder, node_type: NodeType, ids: IntArray) -> Vectors:
    """Encoded inputs [n, D]."""
    values = np.empty((len(ids), embedder.model.hidden), dtype=np.float32)
    for start in range(0, len(ids), embedder.batch_size):
        chunk = ids[start : start + embedder.batch_size]
        values[start : start + len(chunk)] = embedder.encode_inputs(node_type, chunk)
    return values


def _without_graph(embedder: Embedder, values: Vectors) -> Vectors:
    out = np.empty_like(values)
    for start in range(0, len(values), embedder.batch_size):
        part = torch.from_numpy(values[start : start + embedder.batch_size]).to(embedder.device)
        out[start : start + len(part)] = embedder.model.gnn((), {"": part})[""].float().cpu().numpy()
    return out


def _layer(
    embedder: Embedder,
    index: int,
    layer: GraphLayer,
    node_type: NodeType,
    ids: IntArray,
    hidden: Mapping[NodeType, SomeVectors],
) -> Vectors:
    """One layer's vectors [n, D] of nodes [n] of a type."""
    out = np.empty((len(ids), embedder.model.hidden), dtype=np.float32)
    start = 0
    for chunk in _chunks(embedder, node_type, ids):
        sampled = embedder.graph.sample({node_type: chunk}, [embedder.layer_fanout(index)], stream(0, "inference"))
        blocks, input_ids = torch_subgraph(sampled)
        source = {
            t: torch.from_numpy(hidden[t][of_type.numpy()]).to(embedder.device) for t, of_type in input_ids.items()
        }
        block = map_tensors(fetch_edge_inputs(blocks[0], embedder.sources), lambda t: t.to(embedder.device))
        out[start : start + len(chunk)] = layer(block, source)[node_type].float().cpu().numpy()
        start += len(chunk)
    return out
