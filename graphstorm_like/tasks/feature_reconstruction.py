"""Masked features (GraphMAE, Hou et al., KDD 2022): a linear decoder finds a node's features x from its vector z.

cosine: loss_i = (1 - cos(x_i, W z_i))^gamma;   mse: loss_i = mean over columns of (x_i - W z_i)^2

x: all features of the type, standardised by the mean and deviation of up to 8,192 nodes, where rare columns have a
tenth of a feature's mean deviation at least; sparse features and words as the model reads them. Only masked
nodes count; their inputs are the means of the batch's inputs, text vectors and learnable embeddings too, so that
nothing of them is left; of sparse inputs they have no entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from graphstorm_like.config.tasks.feature_reconstruction import FeatureReconstructionConfig
from graphstorm_like.errors import DataError
from graphstorm_like.graph.moments import rare_moments, sampled_moments
from graphstorm_like.graph.sparse import SparseRows
from graphstorm_like.graph.store import Graph, IntArray, NodeType, RowType
from graphstorm_like.sampling.batch import MiniBatch
from graphstorm_like.tasks.base import TASKS
from graphstorm_like.tasks.self_supervised import SelfSupervised

SAMPLE = 8192


@TASKS.register(FeatureReconstructionConfig)
class FeatureReconstruction(SelfSupervised):
    """See module."""

    def __init__(self, config: FeatureReconstructionConfig, graph: Graph, hidden: int) -> None:
        super().__init__(config, graph)
        self.config = config
        self.names = {node_type: list(graph.manifest.node(node_type).features) for node_type in self.types}
        self.decoders = nn.ModuleList()
        for number, node_type in enumerate(self.types):
            if not self.names[node_type]:
                raise DataError(f"{graph.folder}: node type {node_type} must have features to find again (got none)")
            count = graph.manifest.node(node_type).count
            if not count:
                raise DataError(f"{graph.folder}: node type {node_type} must have nodes to learn from (got none)")
            mean, deviation = moments_to_find(graph, node_type, self.names[node_type], count)
            self.register_buffer(f"mean{number}", mean)
            self.register_buffer(f"deviation{number}", deviation)
            self.decoders.append(nn.Linear(hidden, len(mean)))

    def _features(self, node_type: NodeType, ids: IntArray) -> Tensor:
        found = [self.graph.gather(node_type, name, ids).astype(np.float32) for name in self.names[node_type]]
        return torch.from_numpy(np.concatenate(found, axis=1))

    def _masked(self, batch: MiniBatch) -> dict[NodeType, Tensor]:
        """Positions [m] of the masked among the seeds, by type: at least one."""
        draw = self.draw(batch)
        chosen = {}
        for node_type, ids in batch.seeds.items():
            count = max(1, round(self.config.mask * len(ids)))
            chosen[node_type] = torch.randperm(len(ids), generator=draw)[:count].sort().values
        return chosen

    def views(self, batch: MiniBatch) -> tuple[MiniBatch, ...]:
        """See Task: one, in which some seeds are masked. Seeds come first among the input nodes."""
        features = {t: dict(by_name) for t, by_name in batch.features.items()}
        for node_type, at in self._masked(batch).items():
            for name, rows in features.get(node_type, {}).items():
                if isinstance(rows, SparseRows):
                    features[node_type][name] = without_rows(rows, at)
                    continue
                masked = rows.clone()  # not index_copy, which autocast on CPUs refuses for float16: text vectors
                masked[at.to(rows.device)] = rows.float().mean(dim=0).to(rows.dtype)
                features[node_type][name] = masked
        return (batch.replace(features=features),)

    def loss(self, vectors: dict[NodeType, Tensor], batch: MiniBatch) -> tuple[Tensor, float]:
        """See Task. The weight is the number of masked nodes."""
        total, count = torch.zeros((), device=self.device), 0
        for node_type, at in self._masked(batch).items():
            number = self.types.index(node_type)
            ids = batch.seeds[node_type].cpu()[at].numpy()
            raw = self._features(node_type, ids).to(self.device)
            goal = (raw - self.get_buffer(f"mean{number}")) / self.get_buffer(f"deviation{number}")
            found = self.decoders[number](vectors[node_type][at.to(self.device)]).float()
            total, count = total + self._distance(found, goal).sum(), count + len(at)
        return total, float(count)

    def _distance(self, found: Tensor, goal: Tensor) -> Tensor:
        """[m]"""
        return distances(found, goal, self.config.loss, self.config.gamma)

    def loss_of_views(self, vectors: Sequence[dict[NodeType, Tensor]], batch: MiniBatch) -> tuple[Tensor, float]:
        """See Task."""
        return self.loss(vectors[0], batch)


def moments_to_find(graph: Graph, row_type: RowType, names: Sequence[str], count: int) -> tuple[Tensor, Tensor]:
    """(mean, deviation) [F] of the features of a type of `count` rows, feature after feature."""
    of_type = graph.manifest.node(row_type) if isinstance(row_type, str) else graph.manifest.edge(row_type)
    sample = np.unique(np.linspace(0, count - 1, SAMPLE).astype(np.int64))
    means, deviations = [], []
    for name in names:
        found = rare_moments(of_type.features[name])
        if found is None:
            found = sampled_moments(graph.gather(row_type, name, sample))
        means.append(found[0])
        deviations.append(found[1])
    mean, deviation = np.concatenate(means).astype(np.float32), np.concatenate(deviations).astype(np.float32)
    return torch.from_numpy(mean), torch.from_numpy(deviation)


def distances(found: Tensor, goal: Tensor, loss: Literal["cosine", "mse"], gamma: float) -> Tensor:
    """Losses [m] of rows [m, F]; see module."""
    if loss == "mse":
        return (found - goal).square().mean(dim=1)
    # Above 0: the slope of a power below 1 would be infinite there.
    lost: Tensor = (1.0 - F.cosine_similarity(found, goal, dim=1)).clamp(min=1e-6) ** gamma
    return lost


def without_rows(rows: SparseRows[Tensor], masked: Tensor) -> SparseRows[Tensor]:
    """Rows [N, F] of which some have zeros alone. masked: their positions."""
    is_kept = torch.ones(len(rows), dtype=torch.bool, device=rows.values.device)
    is_kept[masked.to(is_kept.device)] = False
    of_entries = is_kept.repeat_interleave(rows.offsets.diff())
    return replace(rows, values=rows.values * of_entries.to(rows.values.dtype))
