"""Features of edges, found from both ends (in GraphStorm: reconstruct_edge_feat).

x' = MLP([h_s, h_t, h_s * h_t])

mse: loss_e = mean over columns of (x_e - x'_e)^2;   cosine: loss_e = (1 - cos(x_e, x'_e))^gamma

x: the features of the type, standardised as `feature_reconstruction` does, by up to 8,192 edges. The edges of a batch
and their reverses send no messages in it, so that their features, if `model.edge_inputs` reads them, are not among the
inputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.tasks.edge_feature_reconstruction import EdgeFeatureReconstructionConfig
from graphstorm_like.errors import DataError, unknown
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.models.heads.edge import EdgeHead
from graphstorm_like.sampling.batch import MiniBatch, StreamPosition, Targets
from graphstorm_like.sampling.links import edge_starts, number_nodes
from graphstorm_like.sampling.seeds import ALL_ROWS, RankSlice
from graphstorm_like.sampling.steps import some_of
from graphstorm_like.tasks.base import TASKS
from graphstorm_like.tasks.feature_reconstruction import distances, moments_to_find
from graphstorm_like.tasks.self_supervised import UnscoredTask


@dataclass(frozen=True, slots=True)
class EdgesOfType:
    """B edges of one type: positions [B] of their ends among the seeds, and their features [B, F]."""

    sources: Tensor
    targets: Tensor
    features: Tensor


@dataclass(frozen=True, slots=True)
class ReconstructionTargets(Targets):
    """This rank's edges by type."""

    edges: dict[EdgeType, EdgesOfType]


@dataclass(frozen=True)
class EdgeFeatureSeeder:
    """Seeds are the distinct ends of edges of several types, which are numbered as `edge_starts` does. names: of the
    features, by type."""

    graph: Graph
    names: Mapping[EdgeType, Sequence[str]]
    share: RankSlice = ALL_ROWS

    def __call__(self, ids: IntArray, position: StreamPosition) -> MiniBatch:
        """Edge numbers -> ends, and features of this rank's edges; the edges of all ranks are asked about."""
        edge_types = list(self.names)
        starts = edge_starts(self.graph.manifest, edge_types)
        mine, weight = some_of(self.share, ids)
        asked: dict[EdgeType, tuple[Tensor, Tensor]] = {}
        for edge_type, rows in _by_type(edge_types, starts, self.share.arranged(ids)).items():
            source, target = self.graph.edges(edge_type, rows)
            asked[edge_type] = (torch.from_numpy(source), torch.from_numpy(target))
        parts, features = [], {}
        for edge_type, rows in _by_type(edge_types, starts, mine).items():
            source, target = self.graph.edges(edge_type, rows)
            parts += [(edge_type[0], source), (edge_type[2], target)]
            features[edge_type] = edge_features(self.graph, edge_type, self.names[edge_type], rows)
        seeds, at = number_nodes(parts)
        edges = {}
        for number, (edge_type, found) in enumerate(features.items()):
            edges[edge_type] = EdgesOfType(at[2 * number], at[2 * number + 1], found)
        targets = ReconstructionTargets(edges)
        return MiniBatch(seeds=seeds, position=position, targets=targets, asked=asked, weight=weight)


def _by_type(edge_types: Sequence[EdgeType], starts: IntArray, ids: IntArray) -> dict[EdgeType, IntArray]:
    """Edge numbers -> rows of the types of which there are any."""
    found = {}
    for edge_type, start, stop in zip(edge_types, starts[:-1], starts[1:], strict=True):
        of_type = ids[(ids >= start) & (ids < stop)] - start
        if len(of_type):
            found[edge_type] = of_type
    return found


def edge_features(graph: Graph, edge_type: EdgeType, names: Sequence[str], rows: IntArray) -> Tensor:
    """[n, F] of some edges, feature after feature."""
    pending = [graph.begin_gather(edge_type, name, rows) for name in names]
    found = [np.asarray(part.wait(), dtype=np.float32) for part in pending]
    return torch.from_numpy(np.concatenate(found, axis=1))


@TASKS.register(EdgeFeatureReconstructionConfig)
class EdgeFeatureReconstruction(UnscoredTask):
    """See module."""

    def __init__(self, config: EdgeFeatureReconstructionConfig, graph: Graph, hidden: int) -> None:
        super().__init__()
        self.config, self.graph = config, graph
        self.names: dict[EdgeType, list[str]] = {}
        self.decoders = nn.ModuleList()
        for number, edge_type in enumerate(config.edge_types):
            names = self._names(edge_type)
            self.names[edge_type] = names
            count = graph.manifest.edge(edge_type).count
            if not count:
                raise DataError(f"{graph.folder}: {edge_name(edge_type)} must have edges to learn from (got none)")
            mean, deviation = moments_to_find(graph, edge_type, names, count)
            self.register_buffer(f"mean{number}", mean)
            self.register_buffer(f"deviation{number}", deviation)
            self.decoders.append(EdgeHead(hidden, len(mean), config.head_layers))
        self._total = int(edge_starts(graph.manifest, config.edge_types)[-1])

    def _names(self, edge_type: EdgeType) -> list[str]:
        known = self.graph.manifest.edge(edge_type).features
        where = f"{self.graph.folder}: {edge_name(edge_type)}"
        names = list(known) if self.config.features is None else self.config.features
        for name in names:
            if name not in known:
                raise DataError(unknown(where, "feature", name, known) + " Run: gsl construct")
        if not names:
            raise DataError(f"{where} must have features to find again (got none)")
        return names

    @property
    def node_types(self) -> tuple[NodeType, ...]:
        """See Task."""
        return self.config.node_types(())

    def rows(self, split: str) -> IntArray:
        """See Task. All edges are for training."""
        return np.arange(self._total if split == "train" else 0)

    def seeder(self, seed: int, share: RankSlice = ALL_ROWS) -> EdgeFeatureSeeder:
        """See Task."""
        return EdgeFeatureSeeder(self.graph, self.names, share)

    def loss(self, vectors: dict[NodeType, Tensor], batch: MiniBatch) -> tuple[Tensor, float]:
        """See Task. The weight is the number of edges."""
        assert isinstance(batch.targets, ReconstructionTargets)
        total, count = torch.zeros((), device=self.device), 0
        for edge_type, edges in batch.targets.edges.items():
            number = self.config.edge_types.index(edge_type)
            goal = (edges.features - self.get_buffer(f"mean{number}")) / self.get_buffer(f"deviation{number}")
            sources, targets = vectors[edge_type[0]][edges.sources], vectors[edge_type[2]][edges.targets]
            found = self.decoders[number](sources, targets).float()
            total = total + distances(found, goal, self.config.loss, self.config.gamma).sum()
            count += len(goal)
        return total, float(count)

    def describe_batch(self, batch: MiniBatch) -> Iterator[str]:
        """See Task."""
        assert isinstance(batch.targets, ReconstructionTargets)
        for edge_type, edges in batch.targets.edges.items():
            yield f"edges {edge_name(edge_type)}: features {tuple(edges.features.shape)} to find"
