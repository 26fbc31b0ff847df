"""Tasks, found by the class of their configuration, and the graph as a task may see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.tasks import TaskConfig
from graphstorm_like.graph.holdout import hold_out
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.schema import GraphManifest, read_manifest
from graphstorm_like.graph.store import ExcludedEdges, Graph, NodeType
from graphstorm_like.tasks.base import TASKS, Evaluation, NodeClassifier, Objective, Task
from graphstorm_like.tasks.graph_pretraining import GraphPretraining
from graphstorm_like.tasks.labels import EdgeLabelTask, LabelTask, NodeLabelTask
from graphstorm_like.tasks.link_prediction import LinkPrediction
from graphstorm_like.tasks.links_of_relations import LinksOfRelations
from graphstorm_like.tasks.multi import MultiTask
from graphstorm_like.tasks.node_classification import NodeClassification

__all__ = [
    "TASKS",
    "EdgeLabelTask",
    "Evaluation",
    "GraphPretraining",
    "LabelTask",
    "LinkPrediction",
    "LinksOfRelations",
    "MultiTask",
    "NodeClassification",
    "NodeClassifier",
    "NodeLabelTask",
    "Objective",
    "Task",
    "build_task",
    "open_graph",
    "task_node_types",
]

OpenGraph = Callable[[str | Path, Mapping[EdgeType, str | None], ExcludedEdges | None], Graph]
"""(folder, hide, held_out) -> graph; see PartitionedGraph."""


def open_graph(
    config: TaskConfig, folder: str | Path, seed: int, open_one: OpenGraph = LocalGraph, clock: bool = True
) -> Graph:
    """The graph of a folder. Edges that the task must not see are excluded from message passing. clock: whether who
    reads it keeps to times; else edges that the task sees once they are past are excluded too."""
    has_split = {
        edge.edge_type: edge.split_counts is not None for edge in read_manifest(folder).edges if not edge.is_reverse
    }
    hide, max_held_out = config.hidden_edges(has_split), config.held_out_edges(has_split)
    if config.shows_past and not clock:
        hide = config.learnt_edges(has_split)
    if not max_held_out:
        return open_one(folder, hide, None)
    return open_one(folder, hide, hold_out(open_one(folder, {}, None), max_held_out, seed))


def build_task(config: TaskConfig, graph: Graph, hidden: int) -> Task:
    """The task of a configuration over a graph, for vectors of width `hidden`."""
    return TASKS.of(config)(config, graph, hidden)


def task_node_types(config: TaskConfig, manifest: GraphManifest) -> tuple[NodeType, ...]:
    """The types whose vectors a task reads, known before the task is built."""
    return config.node_types(manifest.original_edge_types())
