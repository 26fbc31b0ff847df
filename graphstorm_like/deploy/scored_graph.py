"""A graph that a model is applied to: its types in the model's order; it may lack labels and splits."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.choice import members_of
from graphstorm_like.config.features import FeatureConfig
from graphstorm_like.errors import DataError
from graphstorm_like.graph.partition_reader import Column, HiddenEdges, Partition
from graphstorm_like.graph.partitioned_graph import PartitionedGraph
from graphstorm_like.graph.schema import (
    NO_CLASSES,
    NO_LABEL,
    SPLIT_COLUMN,
    EdgeTypeSchema,
    FeatureSchema,
    GraphManifest,
    LabelSchema,
    NodeTypeSchema,
    label_column,
    label_split_column,
    read_manifest,
)
from graphstorm_like.graph.store import ExcludedEdges, RowType
from graphstorm_like.graph.verify import verify_graph

Schema = NodeTypeSchema | EdgeTypeSchema
AnySchema = TypeVar("AnySchema", NodeTypeSchema, EdgeTypeSchema)


class ScoredGraph(PartitionedGraph):
    """The graph of a folder, with the manifest that `fit_manifest` made of the folder's and the model's.

    absent: labels and splits that the model knows and the folder lacks: no row has one. See PartitionedGraph for `hide`
    and `held_out`.
    """

    only_scored = True

    def __init__(
        self,
        folder: Path,
        model: GraphManifest,
        reads: Collection[str],
        hide: Mapping[EdgeType, str | None],
        held_out: ExcludedEdges | None = None,
    ) -> None:
        manifest = read_manifest(folder)
        verify_graph(folder, manifest)
        fitted = fit_manifest(folder, manifest, model, reads)
        self._model, self._reads = model, reads
        self._absent = absent_columns(manifest, fitted)
        splits = {e: SPLIT_COLUMN if label is None else label_split_column(label) for e, label in hide.items()}
        there = {e: hide[e] for e, column in splits.items() if column not in self._absent.get(e, {})}

        def open_parts(hidden: HiddenEdges) -> list[Partition]:
            return [Partition(folder, fitted, p, hidden) for p in range(len(fitted.partitions))]

        super().__init__(folder, fitted, there, held_out, open_parts)

    def __reduce__(self) -> tuple[Any, ...]:
        """Sampler processes open the folder themselves."""
        return (ScoredGraph, (self.folder, self._model, self._reads, self.hide, self.held_out))

    def column(self, column: Column) -> Any:
        """A whole column. Of a label or split that the folder lacks: no label, no split."""
        row_type, name = column
        absent = self._absent.get(row_type, {})
        if name not in absent:
            return super().column(column)
        count = self.manifest.node(row_type).count if isinstance(row_type, str) else self.manifest.edge(row_type).count
        return no_labels(absent[name], count)


def no_labels(schema: LabelSchema | None, count: int) -> Any:
    """A column in which no row has a label of this kind; without a schema: a split that no row is in."""
    if schema is None:
        return np.zeros(count, dtype=np.uint8)
    if schema.kind == "number":
        return np.full(count, np.nan, dtype=np.float32)
    if schema.kind == "classes":
        return np.full((count, len(schema.classes)), NO_CLASSES, dtype=np.uint8)
    return np.full(count, NO_LABEL, dtype=np.int32)


def fit_manifest(folder: Path, manifest: GraphManifest, model: GraphManifest, reads: Collection[str]) -> GraphManifest:
    """The manifest of a folder as the model needs it: its types and features in the order in which the model numbers
    them, others left out, labels that it lacks put in; types that the model knows but does not read may be missing.

    reads: names of the node and edge types that the model reads. Raises DataError that names what the folder lacks, or
    has otherwise than the graph that the model was trained on.
    """
    problems: list[str] = []
    nodes: dict[str, NodeTypeSchema] = {}
    for name, known in model.nodes.items():
        nodes[name] = known.model_copy(update={"count": 0})
        if name in manifest.nodes:
            nodes[name] = _fitted(f"node type {name}", manifest.nodes[name], known, problems)
        elif name in reads:
            problems.append(f"node type {name} is missing")
    there = {edge.edge_type: edge for edge in manifest.edges}
    edges: list[EdgeTypeSchema] = []
    for known_edge in model.edges:
        name = edge_name(known_edge.edge_type)
        if known_edge.edge_type in there:
            edge = _fitted(f"edge type {name}", there[known_edge.edge_type], known_edge, problems)
            edges.append(edge.model_copy(update={"split_counts": edge.split_counts or {}}))
        elif name in reads:
            problems.append(f"edge type {name} is missing")
    if problems:
        shown = "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
        raise DataError(
            f"{folder}: must be a graph like the one that the model was trained on ({shown}). Construct it with the "
            f"model's state, as gsl apply MODEL --tables does"
        )
    no_rows = dict.fromkeys(nodes, (0, 0))
    partitions = []
    for partition in manifest.partitions:
        partitions.append(partition.model_copy(update={"node_ranges": {**no_rows, **partition.node_ranges}}))
    return manifest.model_copy(update={"nodes": nodes, "edges": edges, "partitions": partitions})


def _fitted(what: str, there: AnySchema, known: AnySchema, problems: list[str]) -> AnySchema:
    """The schema of one type, with the model's inputs and labels; what it lacks goes to `problems`."""
    _compare(what, there, known, problems)
    labels = {name: label.model_copy(update={"counts": {}}) for name, label in known.labels.items()}
    labels |= {name: label for name, label in there.labels.items() if name in known.labels}
    chosen: dict[str, Any] = {"labels": labels}
    for kind in ("features", "text", "image") if isinstance(known, NodeTypeSchema) else ("features", "text"):
        own = getattr(there, kind)
        chosen[kind] = {name: own[name] for name in getattr(known, kind) if name in own}
    return there.model_copy(update=chosen)


def absent_columns(manifest: GraphManifest, fitted: GraphManifest) -> dict[RowType, dict[str, LabelSchema | None]]:
    """Columns that the fitted manifest has and the folder lacks, by type and name: the schema of a label, or None for a
    split."""
    absent: dict[RowType, dict[str, LabelSchema | None]] = {}
    for name, node in fitted.nodes.items():
        absent[name] = _absent(manifest.nodes.get(name), node)
    originals = {edge.edge_type: edge for edge in manifest.edges}
    for edge in fitted.edges:
        original = originals[edge.edge_type]
        absent[edge.edge_type] = _absent(original, edge)
        if original.split_counts is None:
            absent[edge.edge_type][SPLIT_COLUMN] = None
    return absent


def _absent(there: Schema | None, fitted: Schema) -> dict[str, LabelSchema | None]:
    columns: dict[str, LabelSchema | None] = {}
    for name, label in fitted.labels.items():
        if there is None or name not in there.labels:
            columns |= {label_column(name): label, label_split_column(name): None}
    return columns


def _compare(what: str, there: Schema, known: Schema, problems: list[str]) -> None:
    """Inputs must be there and made in the same way; labels, if they are there, must have the same classes."""
    for name, feature in known.features.items():
        if name not in there.features:
            problems.append(f"{what}: feature {name} is missing")
        elif _made_by(there.features[name]) != _made_by(feature):
            problems.append(f"{what}: feature {name} was made in another way, or with other statistics")
    for name in known.text.keys() - there.text.keys():
        problems.append(f"{what}: text {name} is missing")
    if isinstance(known, NodeTypeSchema) and isinstance(there, NodeTypeSchema):
        for name, image in known.image.items():
            if there.image.get(name) != image:
                problems.append(f"{what}: image {name} must have {image.height} x {image.width} pixels")
    for name in known.labels.keys() & there.labels.keys():
        if there.labels[name].classes != known.labels[name].classes:
            problems.append(f"{what}: label {name} has other classes")


def _made_by(feature: FeatureSchema) -> dict[str, Any]:
    """What a feature's numbers follow from, whatever the columns of the table are called."""
    members = members_of(FeatureConfig) or {}
    config = members.get(feature.fitted.get("encode", ""), FeatureConfig)
    sources = config.source_keys if issubclass(config, FeatureConfig) else ()
    fitted = {key: value for key, value in feature.fitted.items() if key not in sources}
    return {"width": feature.width, "dtype": feature.dtype, **fitted}
