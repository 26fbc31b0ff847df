"""Chooses the features, texts and images of nodes and edges that model and head read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.model import ModelConfig, NodeInputConfig
from graphstorm_like.config.tasks import TaskConfig
from graphstorm_like.errors import DataError, unknown
from graphstorm_like.graph.schema import GraphManifest
from graphstorm_like.graph.store import NodeType, RowType


@dataclass(frozen=True, slots=True)
class ChosenInputs:
    """Names of a node type's inputs to the model."""

    features: list[str]
    texts: list[str]
    images: list[str]
    embedding: bool
    """A learnable vector per node."""


def chosen_inputs(config: ModelConfig, manifest: GraphManifest, node_type: NodeType) -> ChosenInputs:
    """Inputs of a node type: those that `model.inputs` names, or all. DataError for a name that the graph lacks."""
    node, configured = manifest.node(node_type), config.inputs.get(node_type, NodeInputConfig())
    where = f"graph folder, node type {node_type}"
    features = _names(where, "feature", configured.features, node.features)
    texts = _names(where, "text", configured.text, node.text)
    images = _names(where, "image", configured.image, node.image)
    embedding = configured.embedding
    if embedding == "auto":
        embedding = not features and not texts and not images and not configured.neighbors
    return ChosenInputs(features, texts, images, embedding)


def chosen_edge_inputs(config: ModelConfig, manifest: GraphManifest) -> dict[EdgeType, tuple[list[str], list[str]]]:
    """(features, texts) that enter the model, for each edge type of `model.edge_inputs`."""
    chosen = {}
    for type_name, configured in config.edge_inputs.items():
        source, relation, target = type_name.split(":")
        edge = manifest.edge((source, relation, target))
        where = f"graph folder, edge type {type_name}"
        features = _names(where, "feature", configured.features, edge.features)
        texts = _names(where, "text", configured.text, edge.text)
        if features or texts:
            chosen[edge.edge_type] = (features, texts)
    return chosen


def unread_edge_types(
    config: ModelConfig,
    manifest: GraphManifest,
    scored: Collection[EdgeType] = (),
    weights: Collection[str] = (),
    sought: Mapping[EdgeType, Collection[str] | None] = MappingProxyType({}),
) -> list[str]:
    """Edge types with features or texts that the model does not read. scored: edge types whose features and texts a
    head reads. weights: features that weigh edges in the loss. sought: features that the task is to find, by edge type;
    None: all."""
    names, weigh = [], {config.gnn.weight_column, *weights}
    for edge in manifest.edges:
        original = edge.reverse if edge.is_reverse and edge.reverse is not None else edge.edge_type
        found = sought.get(original, ())
        is_scored = edge.edge_type in scored or edge.reverse in scored
        name = edge_name(edge.edge_type)
        others = set(edge.features) - weigh - set(edge.features if found is None else found)
        if (others or edge.text) and name not in config.edge_inputs and not is_scored:
            names.append(name)
    return names


def scored_inputs(task: TaskConfig, manifest: GraphManifest) -> dict[EdgeType, tuple[list[str], list[str]]]:
    """(features, texts) of the scored edges that the task's head reads, by edge type; empty without `task.inputs`."""
    scored = task.scored_inputs()
    if scored is None:
        return {}
    edge_type, chosen = scored
    edge = manifest.edge(edge_type)
    where = f"graph folder, edge type {edge_name(edge_type)}"
    features = _names(where, "feature", chosen.features, edge.features)
    texts = _names(where, "text", chosen.text, edge.text)
    if not features and not texts:
        raise DataError(f"{where}: must have features or text for task.inputs to name (got none)")
    return {edge_type: (features, texts)}


def node_texts(config: ModelConfig, manifest: GraphManifest) -> dict[NodeType, list[str]]:
    """Names of the node texts that the model reads, by node type."""
    chosen = {t: chosen_inputs(config, manifest, t).texts for t in manifest.nodes}
    return {t: names for t, names in chosen.items() if names}


def all_texts(config: ModelConfig, task: TaskConfig, manifest: GraphManifest) -> dict[RowType, list[str]]:
    """Names of the texts of nodes and edges that model or head read, by type."""
    chosen: dict[RowType, list[str]] = {}
    chosen.update(node_texts(config, manifest))
    chosen |= {t: texts for t, (_, texts) in chosen_edge_inputs(config, manifest).items() if texts}
    for edge_type, (_, texts) in scored_inputs(task, manifest).items():
        if texts:
            chosen[edge_type] = list(dict.fromkeys([*chosen.get(edge_type, []), *texts]))
    return chosen


def _names(where: str, kind: str, configured: list[str] | None, available: Mapping[str, object]) -> list[str]:
    """The configured names; all available ones when none are configured."""
    names = list(available) if configured is None else configured
    for name in names:
        if name not in available:
            raise DataError(unknown(where, kind, name, available) + " Run: gsl construct")
    return names
