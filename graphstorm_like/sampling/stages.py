"""What happens to a batch: a visible list of callables, MiniBatch -> MiniBatch.

A stage is deterministic in (batch, position). `gsl show batch` prints the list for a real batch, with sizes and times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.sampling.batch import (
    EdgeTargets,
    LinkTargets,
    MiniBatch,
    NodeTargets,
    StreamPosition,
    torch_subgraph,
)
from graphstorm_like.sampling.known import KnownTargets
from graphstorm_like.sampling.rng import stream


class Stage(Protocol):
    """One step of making a batch."""

    def __call__(self, batch: MiniBatch) -> MiniBatch:
        """The batch with more in it."""
        ...


class Seeder(Protocol):
    """Turns the ids of a step into a batch with seeds and targets."""

    def __call__(self, ids: IntArray, position: StreamPosition) -> MiniBatch:
        """A batch that has seeds, targets and position."""
        ...


@dataclass(frozen=True)
class NodeSeeder:
    """Seeds are nodes of one type; labels [count] may be None (inference)."""

    node_type: NodeType
    labels: npt.NDArray[Any] | None

    def __call__(self, ids: IntArray, position: StreamPosition) -> MiniBatch:
        """Node ids -> seeds with their labels."""
        targets = None
        if self.labels is not None:
            targets = NodeTargets(self.node_type, label_tensor(self.labels[ids]))
        return MiniBatch(seeds={self.node_type: torch.from_numpy(ids)}, position=position, targets=targets)


def label_tensor(labels: npt.NDArray[Any]) -> torch.Tensor:
    """Labels of a store as losses take them: class indices int64, numbers float32."""
    return torch.from_numpy(labels.astype(np.int64 if np.issubdtype(labels.dtype, np.integer) else np.float32))


def distinct_ends(
    edge_type: EdgeType, sources: IntArray, targets: IntArray
) -> tuple[dict[NodeType, IntArray], IntArray, IntArray]:
    """Distinct node ids of both ends by type, and where each source and each target stands among those of its type."""
    s_type, _, t_type = edge_type
    if s_type == t_type:
        unique, where = np.unique(np.concatenate([sources, targets]), return_inverse=True)
        return {s_type: unique}, where[: len(sources)], where[len(sources) :]
    unique_sources, source_at = np.unique(sources, return_inverse=True)
    unique_targets, target_at = np.unique(targets, return_inverse=True)
    return {s_type: unique_sources, t_type: unique_targets}, source_at, target_at


@dataclass(frozen=True)
class EdgeSeeder:
    """Seeds are the ends of a batch of edges; labels [count] by edge id."""

    graph: Graph
    edge_type: EdgeType
    labels: npt.NDArray[Any]

    def __call__(self, ids: IntArray, position: StreamPosition) -> MiniBatch:
        """Edge ids -> distinct end nodes, and the edges' labels."""
        seeds, s_at, t_at = distinct_ends(self.edge_type, *self.graph.edges(self.edge_type, ids))
        targets = EdgeTargets(
            self.edge_type, torch.from_numpy(s_at), torch.from_numpy(t_at), label_tensor(self.labels[ids])
        )
        return MiniBatch(seeds={t: torch.from_numpy(i) for t, i in seeds.items()}, position=position, targets=targets)


class LinkSeeder:
    """Seeds are the ends of a batch of edges and of the negatives drawn for it.

    Known true targets among the candidates, from the training edges, are masked.
    """

    def __init__(
        self, graph: Graph, edge_type: EdgeType, known_ids: IntArray, uniform: int, seed: int, rank: int = 0
    ) -> None:
        self.edge_type, self.uniform, self.seed, self.rank = edge_type, uniform, seed, rank
        self.graph = graph
        self.num_targets = graph.manifest.node(edge_type[2]).count
        self._known = KnownTargets(*graph.edges(edge_type, known_ids), graph.manifest.node(edge_type[0]).count)

    def __call__(self, ids: IntArray, position: StreamPosition) -> MiniBatch:
        """Edge ids -> distinct end nodes, with positions of sources, targets and negatives."""
        source, target = self.graph.edges(self.edge_type, ids)
        rng = stream(self.seed, "negatives", self.rank, position.epoch, position.step)
        negative = rng.integers(self.num_targets, size=self.uniform)
        candidates = np.concatenate([target, negative])
        seeds, s_at, c_at = distinct_ends(self.edge_type, source, candidates)
        targets = LinkTargets(
            self.edge_type,
            torch.from_numpy(s_at),
            torch.from_numpy(c_at[: len(target)]),
            torch.from_numpy(c_at[len(target) :]),
            torch.from_numpy(self._mask(source, target, candidates)),
        )
        return MiniBatch(seeds={t: torch.from_numpy(i) for t, i in seeds.items()}, position=position, targets=targets)

    def _mask(self, source: IntArray, target: IntArray, candidates: IntArray) -> npt.NDArray[np.bool_]:
        """[B, B + K]: candidate j is another known true target of source i, its own target once more, or i itself."""
        mask = self._known.mask(source, candidates, target)
        if self.edge_type[0] == self.edge_type[2]:
            mask |= candidates[None, :] == source[:, None]
        np.fill_diagonal(mask[:, : len(source)], False)
        return mask


@dataclass(frozen=True)
class SampleNeighbors:
    """Layered neighbour sampling around the seeds. Target edges of a batch, and their reverses, stay out."""

    graph: Graph
    fanouts: Sequence[FanoutByType]
    seed: int
    rank: int = 0
    exclude_targets: bool = True
    purpose: str = "neighbors"
    """Of the random stream: training and inference draw independently."""

    def __call__(self, batch: MiniBatch) -> MiniBatch:
        """Adds blocks and input ids."""
        seeds = {t: ids.numpy() for t, ids in batch.seeds.items()}
        exclude = None
        if self.exclude_targets and isinstance(batch.targets, EdgeTargets | LinkTargets):
            s_type, _, t_type = edge_type = batch.targets.edge_type
            exclude = self.graph.reverse_pairs(
                edge_type, seeds[s_type][batch.targets.sources.numpy()], seeds[t_type][batch.targets.targets.numpy()]
            )
        rng = stream(self.seed, self.purpose, self.rank, batch.position.epoch, batch.position.step)
        blocks, input_ids = torch_subgraph(self.graph.sample(seeds, self.fanouts, rng, exclude))
        return batch.replace(blocks=blocks, input_ids=input_ids)


class FeatureSource(Protocol):
    """Anything that has rows of numbers for the nodes of one type."""

    def rows(self, ids: IntArray) -> npt.NDArray[np.floating[Any]]:
        """[N, F] rows."""
        ...


@dataclass(frozen=True)
class GraphFeature:
    """A dense feature of the graph folder as a FeatureSource."""

    graph: Graph
    node_type: NodeType
    name: str

    def rows(self, ids: IntArray) -> npt.NDArray[np.float32]:
        """[N, F] rows."""
        return self.graph.gather(self.node_type, self.name, ids)


@dataclass(frozen=True)
class FetchFeatures:
    """Dense features and cached text vectors of the input nodes."""

    sources: Mapping[NodeType, Mapping[str, FeatureSource]]

    def __call__(self, batch: MiniBatch) -> MiniBatch:
        """Adds features."""
        features = {
            t: {name: torch.from_numpy(source.rows(ids.numpy())) for name, source in self.sources.get(t, {}).items()}
            for t, ids in batch.input_ids.items()
        }
        return batch.replace(features=features)
