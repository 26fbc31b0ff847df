"""Tasks that learn from the graph alone: every node of some types is a row, and nothing is scored."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from graphstorm_like.config.tasks.self_supervised import SelfSupervisedConfig
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.models.embedding import Embedder
from graphstorm_like.sampling.batch import MiniBatch
from graphstorm_like.sampling.rng import torch_seed
from graphstorm_like.sampling.seeds import ALL_ROWS, RankSlice
from graphstorm_like.tasks.base import Evaluation, Task
from graphstorm_like.tasks.imitation import TypedSeeder


class UnscoredTask(Task):
    """Nothing is scored, and nothing predicted: embeddings alone are written."""

    select_by = ""
    scored_splits = ()
    predicts = False

    def evaluation(self, fanouts: Sequence[FanoutByType], seed: int) -> Evaluation:
        """See Task."""
        return Evaluation("mini_batch", fanouts, seed)

    def evaluate(self, embedder: Embedder, split: str, how: Evaluation) -> dict[str, float]:
        """See Task. Nothing is scored."""
        return {}


class SelfSupervised(UnscoredTask):
    """See module."""

    def __init__(self, config: SelfSupervisedConfig, graph: Graph) -> None:
        super().__init__()
        self.graph, self.types = graph, tuple(config.of_types)
        counts = {node_type: graph.manifest.node(node_type).count for node_type in self.types}
        starts = dict(zip(counts, np.cumsum([0, *counts.values()]).tolist(), strict=False))
        self._seeder, self._total = TypedSeeder(starts, counts), sum(counts.values())
        self._seed, self._rank = 0, 0

    @property
    def node_types(self) -> tuple[NodeType, ...]:
        """See Task."""
        return self.types

    def rows(self, split: str) -> IntArray:
        """See Task. All nodes are for training."""
        return np.arange(self._total if split == "train" else 0)

    def seeder(self, seed: int, share: RankSlice = ALL_ROWS) -> TypedSeeder:
        """See Task."""
        self._seed, self._rank = seed, share.rank
        return TypedSeeder(self._seeder.starts, self._seeder.counts, share)

    def draw(self, batch: MiniBatch, *number: int) -> torch.Generator:
        """Random numbers of a batch, on the CPU; the same in every pass over it. number: of several streams."""
        position = (batch.position.epoch, batch.position.step, self._rank, *number)
        return torch.Generator().manual_seed(torch_seed(self._seed, "views", *position))
