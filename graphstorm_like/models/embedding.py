"""Vectors of many nodes with a trained model, without gradients: layer-wise (exact) or by mini-batches (sampled).

Layer-wise: each layer once for all nodes, over all neighbours, so that no vector is computed twice. Between layers the
vectors are in memory-mapped files, and a chunk of targets is bounded by its nodes and its edges; the memory that grows
with the graph is the result and some 20 bytes per node.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch

from graphstorm_like.config.train import FanoutByType
from graphstorm_like.files import SCRATCH
from graphstorm_like.graph.past import Times
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.models.encoders.base import GraphLayer
from graphstorm_like.models.lm_gnn import LmGnn
from graphstorm_like.ranks.group import SINGLE_PROCESS, Group
from graphstorm_like.ranks.tables import RowTable
from graphstorm_like.sampling.batch import StreamPosition, map_tensors, torch_subgraph
from graphstorm_like.sampling.clock import Clock
from graphstorm_like.sampling.loader import BatchPipeline
from graphstorm_like.sampling.rng import stream
from graphstorm_like.sampling.steps import (
    FetchFeatures,
    NodeSeeder,
    SampleNeighbors,
    Sources,
    as_tensors,
    fetch_edge_inputs,
)

Vectors = npt.NDArray[np.float32]
Progress = Callable[[str, int, int], None]
"""(what, done, of)"""

MAX_EDGES = 1_000_000
"""Edges in a chunk of targets, at most: at D = 128 about 0.5 GB of gathered sources."""


def all_but_unused(fanout: FanoutByType) -> FanoutByType:
    """All neighbours, except by the edge types that training left out with a fanout of 0."""
    unused = {name: 0 for name, k in fanout.by_edge_type.items() if k == 0}
    used = {name: -1 for name, k in fanout.by_edge_type.items() if k != 0}
    if fanout.default == 0:
        return FanoutByType(default=0, by_edge_type=used)
    return FanoutByType(default=-1, by_edge_type=unused)


@dataclass(frozen=True)
class Embedder:
    """Computes vectors of nodes of a graph.

    graph: the message graph that the model may see. device: where to compute. fanouts: as in training, from the layer
    next to the seeds outwards; layer-wise they only say which edge types take no part. scratch: folder for vectors
    between layers. memo: keeps layer-wise results, for callers that know that the weights do not change. group, shm:
    the ranks that share the work, each its own nodes, and the host's folder for their tables. clock: of a temporal
    model, whose vectors are always sampled.
    """

    model: LmGnn
    graph: Graph
    sources: Sources
    device: torch.device
    fanouts: Sequence[FanoutByType]
    batch_size: int = 4096
    progress: Progress | None = None
    scratch: Path | None = None
    memo: dict[NodeType, Vectors] | None = None
    group: Group = SINGLE_PROCESS
    shm: Path | None = None
    clock: Clock | None = None

    @torch.inference_mode()
    def layer_wise(self, node_types: Sequence[NodeType]) -> dict[NodeType, Vectors]:
        """Vectors [count, D] of all nodes of the given types, over all neighbours; of a temporal model over sampled
        ones, for a node's vector differs from one point in time to another."""
        missing = [t for t in node_types if self.memo is None or t not in self.memo]
        if self.clock is not None:
            vectors = {t: self.mini_batch_all(t, self.fanouts, self.clock.seed) for t in missing}
        else:
            vectors = self._layer_wise(missing) if missing else {}
        if self.memo is None:
            return vectors
        self.memo.update(vectors)
        return {t: self.memo[t] for t in node_types}

    def _layer_wise(self, node_types: Sequence[NodeType]) -> dict[NodeType, Vectors]:
        self.model.eval()
        hops = self.model.gnn.num_hops
        types_by_layer = self._types_by_layer(node_types, hops)
        if self.scratch is not None:
            self.scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=self.scratch) as name:
            scratch = Path(name)
            hidden = {t: self._inputs(t, scratch) for t in types_by_layer[0]}
            self.group.barrier("encoding inputs")
            if not hops:
                tables = {t: self._no_hops(t, hidden[t]) for t in node_types}
                self.group.barrier("vectors of nodes")
                return {t: _as_vectors(table) for t, table in tables.items()}
            joined: dict[NodeType, RowTable] = {}
            for i, layer in enumerate(self.model.gnn.layers):
                assert isinstance(layer, GraphLayer)
                folder = None if i == hops - 1 else scratch
                hidden = {t: self._layer(i, layer, t, hidden, folder) for t in types_by_layer[i + 1]}
                joined = {t: self._joined(i, hidden[t], joined.get(t)) for t in node_types}
                self.group.barrier(f"layer {i + 1}")
                for file in scratch.glob(f"{i}-*"):
                    file.unlink()
        return {t: _as_vectors(table) for t, table in joined.items()}

    def _types_by_layer(self, node_types: Sequence[NodeType], hops: int) -> list[list[NodeType]]:
        """Types needed before the first layer, after it, ...; the last entry is `node_types`."""
        types_by_layer = [list(node_types)]
        for layer in reversed(range(hops)):
            fanout = self.layer_fanout(layer)
            sources = [
                e.edge_type[0]
                for e in self.graph.manifest.edges
                if e.edge_type[2] in types_by_layer[0] and fanout.of(e.edge_type)
            ]
            types_by_layer.insert(0, list(dict.fromkeys([*types_by_layer[0], *sources])))
        return types_by_layer

    def layer_fanout(self, layer: int) -> FanoutByType:
        """All neighbours in a layer, except by the edge types that training left out there."""
        return all_but_unused(self.fanouts[self.model.gnn.num_hops - 1 - layer])

    @torch.inference_mode()
    def mini_batch(
        self,
        node_type: NodeType,
        ids: IntArray,
        fanouts: Sequence[FanoutByType],
        seed: int,
        times: Times | None = None,
    ) -> Vectors:
        """Vectors [len(ids), D] of some nodes, over sampled neighbours; each a function of its node, fanouts and seed,
        whatever other nodes are asked for, and by which rank. times: as of which each is wanted, if that is not the
        clock's; pairs of id and time are distinct."""
        self.model.eval()
        sampling = SampleNeighbors(
            self.graph, fanouts[: self.model.gnn.num_hops], seed, purpose="inference", clock=self.clock
        )
        pipeline = BatchPipeline(NodeSeeder(node_type, None), [sampling, FetchFeatures(self.sources)])
        out = np.empty((len(ids), self.model.hidden), dtype=np.float32)
        for start in range(0, len(ids), self.batch_size):
            chunk = ids[start : start + self.batch_size]
            given = {} if times is None else {node_type: torch.from_numpy(times[start : start + self.batch_size])}
            batch = pipeline.make(chunk, StreamPosition(0, 0), given).to(self.device)
            out[start : start + len(chunk)] = self.model(batch)[node_type].float().cpu().numpy()
            self._tell(f"{node_type} vectors", start + len(chunk), len(ids))
        return out

    def mini_batch_all(self, node_type: NodeType, fanouts: Sequence[FanoutByType], seed: int) -> Vectors:
        """The same for all nodes of a type [count, D]."""
        table = self._table(node_type, None)
        table.own[:] = self.mini_batch(node_type, np.arange(table.start, table.stop), fanouts, seed)
        self.group.barrier("vectors of nodes")
        return _as_vectors(table)

    def _tell(self, what: str, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(what, done, total)

    def _table(self, node_type: NodeType, file: Path | None) -> RowTable:
        return RowTable(self.graph, node_type, self.model.hidden, self.group, self.shm, file)

    def _inputs(self, node_type: NodeType, scratch: Path) -> RowTable:
        """Encoded inputs [count, D] of one type."""
        table = self._table(node_type, scratch / f"0-{self.model.inputs.index[node_type]}")
        for start in range(table.start, table.stop, self.batch_size):
            ids = np.arange(start, min(start + self.batch_size, table.stop))
            table.put(start, self.encode_inputs(node_type, ids))
        return table

    def encode_inputs(self, node_type: NodeType, ids: IntArray) -> Vectors:
        """Encoded inputs [n, D] of some nodes."""
        features = {}
        for name, source in self.sources.get(node_type, {}).items():
            features[name] = map_tensors(as_tensors(source.rows(ids)), lambda t: t.to(self.device))
        encoded = self.model.inputs.encode(node_type, torch.from_numpy(ids).to(self.device), features)
        return encoded.float().cpu().numpy()

    def _no_hops(self, node_type: NodeType, hidden: RowTable) -> RowTable:
        out = self._table(node_type, None)
        for start in range(0, len(hidden.own), self.batch_size):
            part = torch.from_numpy(hidden.own[start : start + self.batch_size]).to(self.device)
            out.own[start : start + self.batch_size] = self.model.gnn((), {"": part})[""].float().cpu().numpy()
        return out

    def _layer(
        self,
        index: int,
        layer: GraphLayer,
        node_type: NodeType,
        hidden: Mapping[NodeType, RowTable],
        scratch: Path | None,
    ) -> RowTable:
        """One layer's vectors [count, D] of one type; in memory when scratch is None."""
        fanout = self.layer_fanout(index)
        file = None if scratch is None else scratch / f"{index + 1}-{self.model.inputs.index[node_type]}"
        out = self._table(node_type, file)
        for ids in self._chunks(node_type, out.start, out.stop):
            sampled = self.graph.sample({node_type: ids}, [fanout], stream(0, "inference"))
            blocks, input_ids = torch_subgraph(sampled)
            pending = {t: hidden[t].begin_rows(source_ids.numpy()) for t, source_ids in input_ids.items()}
            source = {t: torch.from_numpy(np.asarray(rows.wait())).to(self.device) for t, rows in pending.items()}
            block = map_tensors(fetch_edge_inputs(blocks[0], self.sources), lambda t: t.to(self.device))
            out.put(int(ids[0]), layer(block, source)[node_type].float().cpu().numpy())
            self._tell(f"layer {index + 1} {node_type}", int(ids[-1]) + 1 - out.start, out.stop - out.start)
        return out

    def _joined(self, layer: int, hidden: RowTable, before: RowTable | None) -> RowTable:
        """What leaves the network after a layer: its vectors, or what they add to those of the layers before."""
        jump = self.model.gnn.jump
        if jump is None:
            return hidden
        joined = self._table(hidden.node_type, None) if before is None else before
        for start in range(0, len(hidden.own), self.batch_size):
            chunk = slice(start, start + self.batch_size)
            rows = torch.from_numpy(hidden.own[chunk]).to(self.device)
            earlier = None if before is None else torch.from_numpy(before.own[chunk]).to(self.device)
            joined.own[chunk] = jump(layer, rows, earlier).float().cpu().numpy()
        return joined

    def _chunks(self, node_type: NodeType, first: int, last: int) -> Iterator[IntArray]:
        """Consecutive ids of first..last-1 with at most batch_size nodes and (one node excepted) MAX_EDGES edges."""
        edges = np.zeros(last - first + 1, dtype=np.int64)
        for edge in self.graph.manifest.edges:
            if edge.edge_type[2] == node_type:
                # MAX_EDGES is meant for the gathered sources' D; edge inputs are rows beside them.
                cost = 1 + self.model.edge_widths.get(edge.edge_type, 0) // 128
                edges[1:] += cost * self.graph.degrees(edge.edge_type, first, last)
        np.cumsum(edges, out=edges)
        start, count = 0, last - first
        while start < count:
            stop = int(np.searchsorted(edges, edges[start] + MAX_EDGES, side="right")) - 1
            stop = min(max(stop, start + 1), start + self.batch_size, count)
            yield np.arange(first + start, first + stop)
            start = stop


def _as_vectors(table: RowTable) -> Vectors:
    """An array, or on several ranks the table, which is read like one."""
    return table.own if table.is_whole else cast(Vectors, table)
