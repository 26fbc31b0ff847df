"""A task of your own: predict how many edges of a type lead to a node.

plugins: [./task_popularity.py]
task: { type: popularity, edge_type: "user:buys:item", metrics: [mae, r2] }
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType, EdgeTypeField
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.metrics import MaeConfig, MetricConfig, MetricsOf, check_metrics, selected_metric
from graphstorm_like.config.problems import Problem, check_original
from graphstorm_like.config.tasks import TaskConfig
from graphstorm_like.config.train import FanoutByType, InferConfig
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.models.embedding import Embedder, Vectors
from graphstorm_like.sampling.batch import MiniBatch, NodeTargets
from graphstorm_like.sampling.seeds import ALL_ROWS, RankSlice
from graphstorm_like.sampling.steps import NodeSeeder
from graphstorm_like.tasks.base import TASKS, Evaluation, Task
from graphstorm_like.tasks.metrics import Metrics
from graphstorm_like.tasks.outputs import Follow, Predictions, Rows, row_ids


class PopularityConfig(TaskConfig):
    """Predict the logarithm of 1 + the number of edges of a type that lead to each node."""

    type: Literal["popularity"]
    edge_type: EdgeTypeField
    metrics: Annotated[list[Annotated[MetricConfig, MetricsOf("numbers")]], Field(min_length=1)] = [
        MaeConfig(type="mae")
    ]
    select_by: str = "mae"

    _selectable = model_validator(mode="after")(check_metrics)

    @property
    def row_type(self) -> NodeType:
        return self.edge_type[2]

    def node_types(self, edge_types: Sequence[EdgeType]) -> tuple[NodeType, ...]:
        return (self.edge_type[2],)

    def check(self, graph: GraphConfig) -> Iterator[Problem]:
        return check_original(graph, self.edge_type, ("edge_type",))


@TASKS.register(PopularityConfig)
class Popularity(Task):
    """Every fifth node is for validation, every fifth for test."""

    def __init__(self, config: PopularityConfig, graph: Graph, hidden: int) -> None:
        super().__init__()
        self.graph, self.node_type = graph, config.edge_type[2]
        selected = selected_metric(config)
        self.select_by, self.higher_is_better = selected.name, selected.higher_is_better
        _, target = graph.edges(config.edge_type)
        count = graph.manifest.node(self.node_type).count
        self.labels = np.log1p(np.bincount(target, minlength=count)).astype(np.float32)
        self.head = nn.Linear(hidden, 1)
        self._metrics = Metrics(config.metrics)

    @property
    def node_types(self) -> tuple[NodeType, ...]:
        return (self.node_type,)

    def rows(self, split: str) -> IntArray:
        every = np.arange(len(self.labels))
        places = {"valid": [3], "test": [4], "train": [0, 1, 2]}
        return every[np.isin(every % 5, places[split])]

    def seeder(self, seed: int, share: RankSlice = ALL_ROWS) -> NodeSeeder:
        return NodeSeeder(self.node_type, self.labels, share)

    def loss(self, vectors: dict[NodeType, Tensor], batch: MiniBatch) -> tuple[Tensor, float]:
        assert isinstance(batch.targets, NodeTargets)
        outputs = self.head(vectors[self.node_type]).squeeze(1).float()
        return (outputs - batch.targets.labels).square().sum(), float(len(outputs))

    def evaluation(self, fanouts: Sequence[FanoutByType], seed: int) -> Evaluation:
        return Evaluation("mini_batch", fanouts, seed)

    def evaluate(self, embedder: Embedder, split: str, how: Evaluation) -> dict[str, float]:
        rows = self.group.mine(self.rows(split))
        predicted = self.predict(how.vectors(embedder, self.node_type, rows))
        return self._metrics.measure(predicted, self.labels[rows], self.group)

    @torch.inference_mode()
    def predict(self, vectors: Vectors) -> Vectors:
        outputs = self.head(torch.from_numpy(np.asarray(vectors)).to(self.device))
        predicted: Vectors = outputs.squeeze(1).float().cpu().numpy()
        return predicted

    def predictions(self, vectors: Mapping[NodeType, Vectors], config: InferConfig, follow: Follow) -> Predictions:
        def table(part: Rows) -> pa.Table:
            ids = self.graph.ids_of(self.node_type, row_ids(part))
            return pa.table({"id": ids, "popularity": self.predict(vectors[self.node_type][part])})

        return Predictions(self.node_type, table)

    def describe_batch(self, batch: MiniBatch) -> Iterator[str]:
        assert isinstance(batch.targets, NodeTargets)
        yield f"popularity of {len(batch.targets.labels)} nodes"
