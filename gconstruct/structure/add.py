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
from gconstruct.structure.base import STRUCTURES, Edges
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


def add_structure(config: GraphConfig, folder: Path, graph: Construction, say: Callable[[str], None]) -> Construction:
    """Add what `config` wants to the one partition in `folder`, which `graph` describes; returns its new description.
    Raises DataError when a number is too large for its dtype."""
    [partition] = graph.partitions
    known = None if config.like is None and config.add_to is None else known_graph(config)
    edges = Edges(GraphFiles(folder, graph.partitions), graph.nodes, graph.edges)
    nodes, added = dict(graph.nodes), 0
    for node_type, features in structure_features(config).items():
        columns: dict[str, np.ndarray] = {}
        schemas = dict(nodes[node_type].features)
        for name, feature in features.items():
            key = f"graph.nodes.{node_type}.features.{name}"
            state = None if known is None else _state(known.manifest.node(node_type).features[name], feature)
            columns[feature_column(name)], schemas[name] = _made(feature, edges, node_type, key, state)
        added += rewrite(folder / partition.folder / partition.node_files[node_type], columns)
        in_order = {name: schemas[name] for name in config.nodes[node_type].features}
        nodes[node_type] = nodes[node_type].model_copy(update={"features": in_order})
        say(f"{node_type}: {', '.join(features)} from edges")
    whole = partition.model_copy(update={"bytes": partition.bytes + added})
    return Construction(nodes, graph.edges, [whole], graph.dropped)


def _state(schema: FeatureSchema, feature: FeatureConfig) -> dict[str, Any]:
    return {key: value for key, value in schema.fitted.items() if key not in type(feature).model_fields}


def _made(
    feature: FeatureConfig, edges: Edges, node_type: str, key: str, state: dict[str, Any] | None
) -> tuple[np.ndarray, FeatureSchema]:
    """state: that of another graph; None: of this one."""
    structure = STRUCTURES.of(feature)(feature)
    measured = structure.measure(edges, node_type)
    if state is None:
        state = structure.state(measured)
    numbers = structure.apply(measured, state)
    stored, infinite = narrowed(numbers, feature.dtype)
    if infinite.any():
        largest = f"{np.abs(numbers).max():g}"
        raise DataError(f"{key}: must fit into {feature.dtype} (got {largest}). Leave out {key}.dtype")
    fitted = {**feature.model_dump(mode="json", exclude={"dtype"}), **state}
    return stored, FeatureSchema(width=numbers.shape[1], dtype=feature.dtype, fitted=fitted)
