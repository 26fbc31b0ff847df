"""Vectors of many nodes with a trained model, without gradients: layer-wise (exact) or by mini-batches (sampled).

Layer-wise: each layer once for all nodes, over all neighbours, so that no vector is computed twice. Between layers the
vectors lie in memory-mapped files; a chunk of targets is bounded by its nodes and its edges, so memory does not grow
with the graph.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from graphstorm_like.config.train import FanoutByType
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.store import IntArray, NodeType
from graphstorm_like.models.encoders.base import GraphLayer
from graphstorm_like.models.lm_gnn import LmGnn
from graphstorm_like.sampling.batch import StreamPosition, map_tensors, torch_subgraph
from graphstorm_like.sampling.loader import BatchPipeline
from graphstorm_like.sampling.rng import stream
from graphstorm_like.sampling.stages import FeatureSource, FetchFeatures, NodeSeeder, SampleNeighbors

Sources = Mapping[NodeType, Mapping[str, FeatureSource]]
Vectors = npt.NDArray[np.float32]
Progress = Callable[[str, int, int], None]
"""(what, done, of)"""

MAX_EDGES = 1_000_000
"""Edges a chunk of targets: at D = 128 about 0.5 GB of gathered sources at the very most."""

ALL = FanoutByType(default=-1)


@dataclass(frozen=True)
class Embedder:
    """Computes vectors of nodes of a graph.

    graph must be the message graph that the model may see. device: where to compute.
    """

    model: LmGnn
    graph: LocalGraph
    sources: Sources
    device: torch.device
    batch_size: int = 4096
    progress: Progress | None = None

    @torch.inference_mode()
    def layer_wise(self, node_types: Sequence[NodeType]) -> dict[NodeType, Vectors]:
        """Vectors [count, D] of all nodes of the given types, over all neighbours."""
        self.model.eval()
        counts = {t: self.graph.manifest.node(t).count for t in self.model.inputs.index}
        hops = self.model.gnn.num_hops
        with tempfile.TemporaryDirectory(prefix="gsl-vectors-") as scratch:
            wanted = list(counts) if hops else list(node_types)
            hidden = {t: self._inputs(t, counts[t], Path(scratch)) for t in wanted}
            if not hops:
                return {t: self._no_hops(hidden[t]) for t in node_types}
            for i, layer in enumerate(self.model.gnn.layers):
                assert isinstance(layer, GraphLayer)
                last = i == hops - 1
                hidden = {
                    t: self._layer(i, layer, t, counts[t], hidden, None if last else Path(scratch))
                    for t in (node_types if last else counts)
                }
        return hidden

    @torch.inference_mode()
    def mini_batch(self, node_type: NodeType, ids: IntArray, fanouts: Sequence[FanoutByType], seed: int) -> Vectors:
        """Vectors [len(ids), D] of some nodes, over sampled neighbours; a function of ids, fanouts and seed."""
        self.model.eval()
        pipeline = BatchPipeline(
            NodeSeeder(node_type, None),
            [
                SampleNeighbors(self.graph, fanouts[: self.model.gnn.num_hops], seed),
                FetchFeatures(self.sources),
            ],
        )
        out = np.empty((len(ids), self.model.hidden), dtype=np.float32)
        for step, start in enumerate(range(0, len(ids), self.batch_size)):
            chunk = ids[start : start + self.batch_size]
            batch = pipeline.make(chunk, StreamPosition(0, step)).to(self.device)
            out[start : start + len(chunk)] = self.model(batch)[node_type].float().cpu().numpy()
            self._tell(f"{node_type} vectors", start + len(chunk), len(ids))
        return out

    def _tell(self, what: str, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(what, done, total)

    def _inputs(self, node_type: NodeType, count: int, scratch: Path) -> Vectors:
        """Encoded inputs [count, D] of one type."""
        out = self._file(scratch / f"input-{self.model.inputs.index[node_type]}", count)
        for start in range(0, count, self.batch_size):
            ids = np.arange(start, min(start + self.batch_size, count))
            features = {
                n: torch.from_numpy(s.rows(ids)).to(self.device) for n, s in self.sources.get(node_type, {}).items()
            }
            encoded = self.model.inputs.encode(node_type, torch.from_numpy(ids).to(self.device), features)
            out[start : start + len(ids)] = encoded.float().cpu().numpy()
        return out

    def _no_hops(self, hidden: Vectors) -> Vectors:
        out = np.empty_like(hidden)
        for start in range(0, len(hidden), self.batch_size):
            part = torch.from_numpy(hidden[start : start + self.batch_size]).to(self.device)
            out[start : start + self.batch_size] = self.model.gnn((), {"": part})[""].float().cpu().numpy()
        return out

    def _layer(
        self,
        index: int,
        layer: GraphLayer,
        node_type: NodeType,
        count: int,
        hidden: Mapping[NodeType, Vectors],
        scratch: Path | None,
    ) -> Vectors:
        """One layer's vectors [count, D] of one type; in memory when scratch is None."""
        where = None if scratch is None else scratch / f"layer-{index}-{self.model.inputs.index[node_type]}"
        out = self._file(where, count)
        for ids in self._chunks(node_type, count):
            sampled = self.graph.sample({node_type: ids}, [ALL], stream(0, "neighbors"))
            blocks, input_ids = torch_subgraph(sampled)
            source = {t: _rows(hidden[t], at).to(self.device) for t, at in input_ids.items()}
            block = map_tensors(blocks[0], lambda t: t.to(self.device))
            out[ids[0] : ids[-1] + 1] = layer(block, source)[node_type].float().cpu().numpy()
            self._tell(f"layer {index + 1} {node_type}", int(ids[-1]) + 1, count)
        return out

    def _chunks(self, node_type: NodeType, count: int) -> Iterator[IntArray]:
        """Consecutive ids with at most batch_size nodes and (one node excepted) MAX_EDGES edges."""
        edges = np.zeros(count + 1, dtype=np.int64)
        for edge in self.graph.manifest.edges:
            if edge.edge_type[2] == node_type:
                edges[1:] += self.graph.degrees(edge.edge_type)
        np.cumsum(edges, out=edges)
        start = 0
        while start < count:
            stop = int(np.searchsorted(edges, edges[start] + MAX_EDGES, side="right")) - 1
            stop = min(max(stop, start + 1), start + self.batch_size, count)
            yield np.arange(start, stop)
            start = stop

    def _file(self, path: Path | None, count: int) -> Vectors:
        shape = (count, self.model.hidden)
        if path is None or count == 0:
            return np.empty(shape, dtype=np.float32)
        return np.memmap(path, dtype=np.float32, mode="w+", shape=shape)


def _rows(vectors: Vectors, ids: Tensor) -> Tensor:
    return torch.from_numpy(np.asarray(vectors[ids.numpy()]))
