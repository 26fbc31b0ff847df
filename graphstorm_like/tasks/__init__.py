"""Tasks by the name in the YAML."""

from __future__ import annotations

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.task import LinkPredictionConfig, NodeClassificationConfig
from graphstorm_like.graph.store import Graph
from graphstorm_like.tasks.base import Evaluation, Objective, Task
from graphstorm_like.tasks.link_prediction import LinkPrediction
from graphstorm_like.tasks.node_classification import NodeClassification

__all__ = ["Evaluation", "LinkPrediction", "NodeClassification", "Objective", "Task", "build_task", "hidden_edges"]


def hidden_edges(config: NodeClassificationConfig | LinkPredictionConfig) -> tuple[EdgeType, ...]:
    """Edge types whose validation and test edges must be no messages."""
    return (config.edge_type,) if isinstance(config, LinkPredictionConfig) else ()


def build_task(
    config: NodeClassificationConfig | LinkPredictionConfig, graph: Graph, hidden: int
) -> NodeClassification | LinkPrediction:
    """The task of a configuration over a graph, for vectors of width `hidden`."""
    if isinstance(config, NodeClassificationConfig):
        return NodeClassification(config, graph, hidden)
    return LinkPrediction(config, graph, hidden)
