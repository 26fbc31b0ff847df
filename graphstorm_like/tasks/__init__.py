"""Tasks by the name in the YAML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.tasks import TaskConfig
from graphstorm_like.config.tasks.graph_pretraining import GraphPretrainingConfig
from graphstorm_like.config.tasks.labels import EdgeLabelConfig, NodeLabelConfig
from graphstorm_like.config.tasks.link_prediction import LinkPredictionConfig
from graphstorm_like.config.tasks.node_classification import NodeClassificationConfig
from graphstorm_like.graph.holdout import hold_out
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.schema import GraphManifest
from graphstorm_like.graph.store import ExcludedEdges, Graph, NodeType
from graphstorm_like.tasks.base import Evaluation, Objective, Task
from graphstorm_like.tasks.graph_pretraining import GraphPretraining, pretraining_relations
from graphstorm_like.tasks.labels import EdgeLabelTask, LabelTask, NodeLabelTask
from graphstorm_like.tasks.link_prediction import LinkPrediction
from graphstorm_like.tasks.node_classification import NodeClassification

__all__ = [
    "EdgeLabelTask",
    "Evaluation",
    "GraphPretraining",
    "LabelTask",
    "LinkPrediction",
    "NodeClassification",
    "NodeLabelTask",
    "Objective",
    "Task",
    "build_task",
    "hidden_edges",
    "open_graph",
    "task_node_types",
]


def hidden_edges(config: TaskConfig) -> dict[EdgeType, str | None]:
    """Edge types whose validation and test edges must be no messages, with the label whose split says which those
    are; None: the split of the edges themselves."""
    if isinstance(config, LinkPredictionConfig):
        return {config.edge_type: None}
    if isinstance(config, EdgeLabelConfig) and config.exclude_target_edges:
        return {config.edge_type: config.label}
    return {}


OpenGraph = Callable[[str | Path, Mapping[EdgeType, str | None], ExcludedEdges | None], Graph]
"""(folder, hide, held_out) -> graph; see PartitionedGraph."""


def open_graph(config: TaskConfig, folder: str | Path, seed: int, open_one: OpenGraph = LocalGraph) -> Graph:
    """The graph of a folder, in which what the task must not see is no message."""
    if not isinstance(config, GraphPretrainingConfig):
        return open_one(folder, hidden_edges(config), None)
    whole = open_one(folder, {}, None)
    relations = pretraining_relations(config, whole.manifest)
    with_split = [e for e in relations if whole.manifest.edge(e).split_counts is not None]
    others = [e for e in relations if e not in with_split]
    held_out = hold_out(whole, others, config.validation_edges, seed)
    return open_one(folder, dict.fromkeys(with_split), held_out)


def build_task(config: TaskConfig, graph: Graph, hidden: int) -> LabelTask | LinkPrediction | GraphPretraining:
    """The task of a configuration over a graph, for vectors of width `hidden`."""
    if isinstance(config, LinkPredictionConfig):
        return LinkPrediction(config, graph, hidden)
    if isinstance(config, NodeClassificationConfig):
        return NodeClassification(config, graph, hidden)
    if isinstance(config, NodeLabelConfig):
        return NodeLabelTask(config, graph, hidden)
    if isinstance(config, GraphPretrainingConfig):
        return GraphPretraining(config, graph, hidden)
    return EdgeLabelTask(config, graph, hidden)


def task_node_types(config: TaskConfig, manifest: GraphManifest) -> tuple[NodeType, ...]:
    """The types whose vectors a task reads, known before the task is built."""
    if isinstance(config, NodeLabelConfig):
        return (config.node_type,)
    relations = (
        pretraining_relations(config, manifest) if isinstance(config, GraphPretrainingConfig) else [config.edge_type]
    )
    return tuple(dict.fromkeys(end for source, _, target in relations for end in (source, target)))
