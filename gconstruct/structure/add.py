"""Adds features of the structure to the node files of a graph folder that an engine has written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gconstruct.features import narrowed
from gconstruct.known import known_graph
from gconstruct.manifest import Construction
from gconstruct.opened import GraphFiles
from gconstruct.rewrite import rewrite
from gconstruct.structure.base import STRUCTURES, Edges, Structure
from graphstorm_like.config.features import FeatureConfig
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.errors import DataError
from graphstorm_like.graph.schema import FeatureSchema, feature_column


def structure_features(config: GraphConfig) -> dict[str, dict[str, FeatureConfig]]:
    """By node type and name; node types without any are left out."""
    chosen: dict[str, dict[str, FeatureConfig]] = {}
    for node_type, node in config.nodes.items():
        for name, feature in node.features.items():
            if not feature.of_columns:
                chosen.setdefault(node_type, {})[name] = feature
    return chosen


def missing_structure(config: GraphConfig, graph: Construction) -> dict[str, dict[str, FeatureConfig]]:
    """Those that the engine has not made already."""
    missing: dict[str, dict[str, FeatureConfig]] = {}
    for node_type, features in structure_features(config).items():
        rest = {name: f for name, f in features.items() if name not in graph.nodes[node_type].features}
        if rest:
            missing[node_type] = rest
    return missing


def add_structure(config: GraphConfig, folder: Path, graph: Construction, say: Callable[[str], None]) -> Construction:
    """Add what is missing to the one partition in `folder`, which `graph` describes; returns its new description.
    Raises DataError when a number is too large for its dtype."""
    [partition] = graph.partitions
    states = known_states(config)
    edges = Edges(GraphFiles(folder, graph.partitions), graph.nodes, graph.edges)
    nodes, added = dict(graph.nodes), 0
    for node_type, features in missing_structure(config, graph).items():
        columns: dict[str, np.ndarray] = {}
        schemas = dict(nodes[node_type].features)
        for name, feature in features.items():
            key = f"graph.nodes.{node_type}.features.{name}"
            structure = STRUCTURES.of(feature)(feature)
            measured = structure.measure(edges, node_type)
            state = structure.state(measured) if states is None else states[node_type][name]
            column = columns[feature_column(name)] = stored(structure, measured, state, key)
            schemas[name] = schema_of(feature, column.shape[1], state)
        added += rewrite(folder / partition.folder / partition.node_files[node_type], columns)
        in_order = {name: schemas[name] for name in config.nodes[node_type].features}
        nodes[node_type] = nodes[node_type].model_copy(update={"features": in_order})
        say(f"{node_type}: {', '.join(features)} from edges")
    whole = partition.model_copy(update={"bytes": partition.bytes + added})
    return Construction(nodes, graph.edges, [whole], graph.dropped)


def known_states(config: GraphConfig) -> dict[str, dict[str, dict[str, Any]]] | None:
    """By node type and name, those of the graph that `like` or `add_to` names; None: there is none."""
    if config.like is None and config.add_to is None:
        return None
    manifest = known_graph(config).manifest
    states: dict[str, dict[str, dict[str, Any]]] = {}
    for node_type, features in structure_features(config).items():
        schemas = manifest.node(node_type).features
        states[node_type] = {name: _state(schemas[name], feature) for name, feature in features.items()}
    return states


def _state(schema: FeatureSchema, feature: FeatureConfig) -> dict[str, Any]:
    return {key: value for key, value in schema.fitted.items() if key not in type(feature).model_fields}


def stored(structure: Structure[Any], measured: np.ndarray, state: dict[str, Any], key: str) -> np.ndarray:
    """The column of some nodes (n, width). measured: float64 (n, width). Raises DataError when a number is too large
    for its dtype. key: its place in the YAML."""
    dtype, numbers = structure.config.dtype, structure.apply(measured, state)
    column, infinite = narrowed(numbers, dtype)
    if infinite.any():
        largest = f"{np.abs(numbers).max():g}"
        raise DataError(f"{key}: must fit into {dtype} (got {largest}). Leave out {key}.dtype")
    return column


def schema_of(feature: FeatureConfig, width: int, state: dict[str, Any]) -> FeatureSchema:
    """What the manifest says of it."""
    fitted = {**feature.model_dump(mode="json", exclude={"dtype"}), **state}
    return FeatureSchema(width=width, dtype=feature.dtype, fitted=fitted)
