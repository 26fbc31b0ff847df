"""Tasks by the name in the YAML."""

from __future__ import annotations

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.task import (
    EdgeLabelConfig,
    LinkPredictionConfig,
    NodeClassificationConfig,
    NodeLabelConfig,
    TaskConfig,
)
from graphstorm_like.graph.store import Graph
from graphstorm_like.tasks.base import Evaluation, Task
from graphstorm_like.tasks.labels import EdgeLabelTask, LabelTask, NodeLabelTask
from graphstorm_like.tasks.link_prediction import LinkPrediction
from graphstorm_like.tasks.node_classification import NodeClassification

__all__ = [
    "EdgeLabelTask",
    "Evaluation",
    "LabelTask",
    "LinkPrediction",
    "NodeClassification",
    "NodeLabelTask",
    "Task",
    "build_task",
    "hidden_edges",
]


def hidden_edges(config: TaskConfig) -> dict[EdgeType, str | None]:
    """Edge types whose validation and test edges must be no messages, with the label whose split says which those
    are; None: the split of the edges themselves."""
    if isinstance(config, LinkPredictionConfig):
        return {config.edge_type: None}
    if isinstance(config, EdgeLabelConfig) and config.exclude_target_edges:
        return {config.edge_type: config.label}
    return {}


def build_task(config: TaskConfig, graph: Graph, hidden: int) -> LabelTask | LinkPrediction:
    """The task of a configuration over a graph, for vectors of width `hidden`."""
    if isinstance(config, LinkPredictionConfig):
        return LinkPrediction(config, graph, hidden)
    if isinstance(config, NodeClassificationConfig):
        return NodeClassification(config, graph, hidden)
    if isinstance(config, NodeLabelConfig):
        return NodeLabelTask(config, graph, hidden)
    return EdgeLabelTask(config, graph, hidden)
