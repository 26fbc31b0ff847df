"""A plug-in of the tests: an edge task that shares no code with the library's own, which learns a number of each edge
from the degrees of its ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType, EdgeTypeField
from graphstorm_like.config.tasks import TaskConfig
from graphstorm_like.config.train import FanoutByType, InferConfig
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.models.embedding import Embedder, Vectors
from graphstorm_like.sampling.batch import EdgeTargets, MiniBatch
from graphstorm_like.sampling.seeds import ALL_ROWS, RankSlice
from graphstorm_like.sampling.steps import EdgeSeeder
from graphstorm_like.tasks.base import TASKS, Evaluation, Task
from graphstorm_like.tasks.outputs import Follow, Predictions, Rows, row_ids


class GapConfig(TaskConfig):
    """Difference of the logarithms of the numbers of edges that lead to both ends."""

    type: Literal["degree_gap"]
    edge_type: EdgeTypeField
    select_by: str = "error"

    @property
    def row_type(self) -> EdgeType:
        return self.edge_type

    def relations(self, edge_types: Sequence[EdgeType]) -> tuple[EdgeType, ...]:
        return (self.edge_type,)


@TASKS.register(GapConfig)
class Gap(Task):
    select_by, higher_is_better = "error", False
    scores_edges = True

    def __init__(self, config: GapConfig, graph: Graph, hidden: int) -> None:
        super().__init__()
        self.graph, self.edge_type = graph, config.edge_type
        sources, targets = graph.edges(config.edge_type)
        degrees = np.log1p(np.bincount(targets, minlength=graph.manifest.node(config.edge_type[2]).count))
        self.labels = (degrees[targets] - degrees[sources]).astype(np.float32)
        self.head = nn.Linear(2 * hidden, 1)

    @property
    def node_types(self) -> tuple[NodeType, ...]:
        return tuple(dict.fromkeys((self.edge_type[0], self.edge_type[2])))

    def rows(self, split: str) -> IntArray:
        every = np.arange(len(self.labels))
        chosen: IntArray = every[every % 3 == ("train", "valid", "test").index(split)]
        return chosen

    def seeder(self, seed: int, share: RankSlice = ALL_ROWS) -> EdgeSeeder:
        return EdgeSeeder(self.graph, self.edge_type, self.labels, share)

    def loss(self, vectors: dict[NodeType, Tensor], batch: MiniBatch) -> tuple[Tensor, float]:
        targets = batch.targets
        assert isinstance(targets, EdgeTargets)
        ends = [vectors[self.edge_type[0]][targets.sources], vectors[self.edge_type[2]][targets.targets]]
        outputs = self.head(torch.cat(ends, 1)).squeeze(1)
        return (outputs - targets.labels).square().sum(), float(len(outputs))

    def evaluation(self, fanouts: Sequence[FanoutByType], seed: int) -> Evaluation:
        return Evaluation("layer_wise", fanouts, seed)

    def evaluate(self, embedder: Embedder, split: str, how: Evaluation) -> dict[str, float]:
        lookup = how.lookup(embedder, self.node_types)
        rows = self.rows(split)
        predicted = self.predict({name: lookup(name, None) for name in self.node_types}, rows)
        return {"error": float(np.abs(predicted - self.labels[rows]).mean())}

    @torch.inference_mode()
    def predict(self, vectors: Mapping[NodeType, Vectors], rows: IntArray) -> Vectors:
        sources, targets = self.graph.edges(self.edge_type, rows)
        ends = [vectors[self.edge_type[0]][sources], vectors[self.edge_type[2]][targets]]
        outputs: Vectors = self.head(torch.from_numpy(np.concatenate(ends, 1)).float()).squeeze(1).numpy()
        return outputs

    def predictions(self, vectors: Mapping[NodeType, Vectors], config: InferConfig, follow: Follow) -> Predictions:
        def table(part: Rows) -> pa.Table:
            rows = row_ids(part)
            sources, targets = self.graph.edges(self.edge_type, rows)
            columns = {
                "source": self.graph.ids_of(self.edge_type[0], sources),
                "target": self.graph.ids_of(self.edge_type[2], targets),
                "gap": self.predict(vectors, rows),
            }
            return pa.table(columns)

        return Predictions(self.edge_type, table)
