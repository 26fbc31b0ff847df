"""An existing graph whose state new tables get, and to which they may add nodes and edges.

`graph.like`: the tables make a graph of their own, whose features and classes are those of the known graph.
`graph.add_to`: besides, the rows of the known graph come first, in their order, so that its nodes keep their
positions; edges may name them, and new rows may lack its labels and splits. What the state does not fit is refused
with its name before any row is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gconstruct.attributes import Attributes
from gconstruct.encoding import TableState
from gconstruct.encoding.splits import OPTIONS
from gconstruct.opened import GraphFiles
from gconstruct.problems import Problems
from gconstruct.splits import split_of
from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.graph import EdgeConfig, GraphConfig, LabelConfig, NodeConfig
from graphstorm_like.config.splits import SplitConfig
from graphstorm_like.errors import DataError, unknown
from graphstorm_like.files import file_hash
from graphstorm_like.graph.schema import (
    ID_COLUMN,
    MANIFEST,
    SOURCE_COLUMN,
    SPLIT_COLUMN,
    TARGET_COLUMN,
    EdgeTypeSchema,
    FeatureSchema,
    ImageSchema,
    LabelSchema,
    NodeTypeSchema,
    label_split_column,
    read_manifest,
)
from graphstorm_like.graph.verify import verify_graph

Schema = NodeTypeSchema | EdgeTypeSchema


def known_graph(config: GraphConfig) -> KnownGraph:
    """The graph that `like` or `add_to` names. Raises DataError when it is none, or the one that is to be made."""
    folder = config.like or config.add_to
    assert folder is not None
    adds = config.add_to is not None
    if config.path is not None and Path(config.path).resolve() == Path(folder).resolve():
        key = "graph.add_to" if adds else "graph.like"
        raise DataError(f"graph.path: must be another folder than {key} (got {folder} for both). Name a new folder")
    return KnownGraph(Path(folder), config, adds)


class KnownGraph:
    """The graph folder `folder`, for the tables of `config`. adds: its rows come first."""

    def __init__(self, folder: Path, config: GraphConfig, adds: bool) -> None:
        self.folder, self.adds, self._config = folder, adds, config
        self.key = "graph.add_to" if adds else "graph.like"
        self.manifest = read_manifest(folder)
        self._files = GraphFiles(folder, self.manifest.partitions)

    def fingerprint(self) -> str:
        """Changes with the folder."""
        return file_hash(self.folder / MANIFEST)

    def check(self, problems: Problems) -> None:
        """Everything that the configuration names must be in the graph, and the other way round."""
        config, manifest = self._config, self.manifest
        verify_graph(self.folder, manifest)
        self._same_names("node type", "graph.nodes", config.nodes, manifest.nodes, problems)
        configured = {edge_name(edge.edge_type): edge for edge in config.edges}
        known = {edge_name(e.edge_type): e for e in manifest.edges}
        originals = {edge_name(edge_type) for edge_type in manifest.original_edge_types()}
        of_original = {name: schema for name, schema in known.items() if name in originals}
        self._same_names("edge type", "graph.edges", configured, of_original, problems)
        self.check_tables(problems)

    def check_tables(self, problems: Problems, *, without_tables: bool = True) -> None:
        """The attributes of the node and edge types that the configuration has. without_tables: also of node types
        whose ids come from edges."""
        known = {edge_name(edge.edge_type): edge for edge in self.manifest.edges}
        for name, node in self._config.nodes.items():
            if name in self.manifest.nodes and (node.has_table or without_tables):
                self._check_table(f"graph.nodes.{name}", node, self.manifest.nodes[name], problems)
        for i, edge in enumerate(self._config.edges):
            schema = known.get(edge_name(edge.edge_type))
            if schema is not None:
                self._check_edge(self._config.edge_key(i), edge, schema, problems)

    def node_state(self, name: str) -> TableState:
        """For the node table of a type."""
        return _state(self._config.nodes[name], self.manifest.node(name), self.adds)

    def edge_state(self, edge: EdgeConfig) -> TableState:
        """For an edge table."""
        return _state(edge, self.manifest.edge(edge.edge_type), self.adds)

    def id_types(self) -> dict[str, pa.DataType]:
        """The types that ids must have, by node type; none where the new ids are the only ones."""
        if not self.adds:
            return {}
        types = {"int64": pa.int64(), "string": pa.large_string()}
        return {name: types[node.id_type] for name, node in self.manifest.nodes.items()}

    def ids(self, name: str) -> pa.Array | None:
        """Ids of the nodes that come first; None: there are none."""
        if not self.adds or self.manifest.node(name).count == 0:
            return None
        return pa.concat_arrays([piece.column(ID_COLUMN) for piece in self._files.nodes(name).pieces])

    def node_rows(self, name: str) -> Mapping[str, np.ndarray | pa.Array]:
        """Columns of the nodes that come first, their ids included."""
        return self._files.nodes(name).whole()

    def edge_rows(self, edge_type: EdgeType) -> Mapping[str, np.ndarray | pa.Array]:
        """Columns of the edges that come first, their ends as positions included."""
        return self._files.edges(edge_type).whole()

    def with_known_nodes(self, name: str, new: Attributes) -> Attributes:
        """The attributes of a node type with those of the nodes that come first."""
        return self._joined({k: v for k, v in self.node_rows(name).items() if k != ID_COLUMN}, new, name)

    def with_known_edges(self, edge_type: EdgeType, new: Attributes) -> Attributes:
        """The attributes of an edge type with those of the edges that come first."""
        ends = (SOURCE_COLUMN, TARGET_COLUMN)
        return self._joined({k: v for k, v in self.edge_rows(edge_type).items() if k not in ends}, new, edge_type)

    def _joined(self, first: Mapping[str, np.ndarray | pa.Array], new: Attributes, what: str | EdgeType) -> Attributes:
        schema: Schema = self.manifest.node(what) if isinstance(what, str) else self.manifest.edge(what)
        columns: dict[str, np.ndarray | pa.Array] = {}
        for column, values in new.columns.items():
            columns[column] = _concatenated(first[column], values)
        labels: dict[str, LabelSchema] = {}
        for label, counted in new.labels.items():
            counts = _sum(schema.labels[label].counts, counted.counts)
            labels[label] = counted.model_copy(update={"counts": counts})
        splits = new.split_counts
        if splits is not None and isinstance(schema, EdgeTypeSchema):
            splits = _sum(schema.split_counts or {}, splits)
        return replace(new, columns=columns, labels=labels, split_counts=splits)

    def _same_names(
        self, what: str, key: str, configured: Mapping[str, Any], known: Mapping[str, Any], problems: Problems
    ) -> None:
        for name in configured:
            if name not in known:
                problems.add(f"{key}: {unknown(str(self.folder), what, name, known)}", key)
        for name in known:
            if name not in configured:
                fix = "Add it; its table may be empty" if what == "edge type" else "Add it"
                problems.add(f"{key}: must have the {what} {name!r} of {self.folder}, as {self.key} asks. {fix}", key)

    def _check_edge(self, key: str, edge: EdgeConfig, schema: EdgeTypeSchema, problems: Problems) -> None:
        if edge.reverse_type != schema.reverse:
            had = "none" if schema.reverse is None else edge_name(schema.reverse)
            problems.add(f"{key}.reverse: must make the reverse edge type of {self.folder}: {had}. Set it so", key)
        if edge.split is not None and schema.split_counts is None and self.adds:
            problems.add(
                f"{key}.split: must be left out, for the edges of {self.folder} have none. See {self.key}", key
            )
        if edge.hard_negatives is not None and self.adds:
            fix = "Construct all tables again for them"
            problems.add(f"{key}.hard_negatives: must be left out with {self.key}. {fix}", f"{key}.hard_negatives")
        if self.adds and schema.hard_negatives:
            problems.add(
                f"{key}: cannot be added to (got hard negatives of the edges of {self.folder}, which are kept only "
                "when a whole graph is constructed). Construct the whole graph of all tables",
                key,
            )
        self._check_table(key, edge, schema, problems)

    def _check_table(self, key: str, table: NodeConfig | EdgeConfig, schema: Schema, problems: Problems) -> None:
        self._same_names("feature", f"{key}.features", table.features, schema.features, problems)
        self._same_names("text", f"{key}.text", table.text, schema.text, problems)
        self._same_names("image", f"{key}.image", table.image, _images(schema), problems)
        for name in table.labels:
            if name not in schema.labels:
                problems.add(f"{key}.labels: {unknown(str(self.folder), 'label', name, schema.labels)}", key)
        for problem in _differences(table, schema):
            problems.add(f"{key}.{problem} as in {self.folder}. Change it, or leave out {self.key}", key)


def _differences(table: NodeConfig | EdgeConfig, schema: Schema) -> Iterator[str]:
    """'features.price.normalize: must be "standard" (got "none")' for what is not as in the graph."""
    for name in table.features.keys() & schema.features.keys():
        feature, fitted = table.features[name].model_dump(mode="json"), schema.features[name].fitted
        for option, value in feature.items():
            if (
                option not in (*table.features[name].source_keys, "dtype")
                and option in fitted
                and fitted[option] != value
            ):
                yield f"features.{name}.{option}: must be {fitted[option]!r} (got {value!r}),"
        if feature["dtype"] != schema.features[name].dtype:
            yield f"features.{name}.dtype: must be {schema.features[name].dtype!r} (got {feature['dtype']!r}),"
    for name in table.labels.keys() & schema.labels.keys():
        label: LabelConfig = table.labels[name]
        if label.kind != schema.labels[name].kind:
            yield f"labels.{name}.kind: must be {schema.labels[name].kind!r} (got {label.kind!r}),"
        yield from _split_differences(f"labels.{name}.split", label.split, schema.labels[name].fitted_split)
    had = None if schema.time is None or schema.time.of_nodes else schema.time.kind
    kind = None if table.time is None else table.time.kind
    if kind != had:
        yield f"time: must be {'left out' if had is None else f'a {had}'} (got {kind or 'none'}),"
    if table.split is not None and isinstance(schema, EdgeTypeSchema):
        yield from _split_differences("split", table.split, schema.fitted_split)
    images = _images(schema)
    for name in table.image.keys() & images.keys():
        size = [images[name].height, images[name].width]
        if table.image[name].size != size:
            yield f"image.{name}.size: must be {size} (got {table.image[name].size}),"


def _split_differences(key: str, split: SplitConfig, fitted: Mapping[str, Any]) -> Iterator[str]:
    """A split that depends on other rows must have been fitted, with the same options."""
    operator = split_of(split)
    if not operator.keeps_state:
        return
    if fitted.get("by") != split.by or OPTIONS not in fitted:
        yield f"{key}: must depend on each row alone, or be fitted already (got by: {split.by}, which is not),"
        return
    for option, value in operator.fitted_options().items():
        had = fitted[OPTIONS].get(option)
        if had != value:
            yield f"{key}.{option}: must be {had!r} (got {value!r}),"


def _images(schema: Schema) -> dict[str, ImageSchema]:
    return schema.image if isinstance(schema, NodeTypeSchema) else {}


def _state(table: NodeConfig | EdgeConfig, schema: Schema, adds: bool) -> TableState:
    """adds: whether the table's rows follow those of the graph, whose labels and splits they may lack."""
    features: dict[str, FeatureSchema] = {}
    of_columns = {name: feature for name, feature in table.features.items() if feature.of_columns}
    for name, feature in of_columns.items():
        fitted = dict(schema.features[name].fitted)
        named = feature.model_dump(mode="json")
        fitted |= {key: named[key] for key in feature.source_keys if key in named and key in fitted}
        features[name] = schema.features[name].model_copy(update={"fitted": fitted})
    classes = {name: schema.labels[name].classes for name in table.labels}
    splits = {label_split_column(name): schema.labels[name].fitted_split for name in table.labels}
    absent_split = False
    if isinstance(schema, EdgeTypeSchema):
        absent_split = adds and table.split is None and schema.split_counts is not None
        if table.split is not None or absent_split:
            splits[SPLIT_COLUMN] = schema.fitted_split
    absent = {name: label for name, label in schema.labels.items() if adds and name not in table.labels}
    return TableState(features, classes, splits, known=True, absent=absent, absent_split=absent_split)


def _sum(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    return {split: first.get(split, 0) + count for split, count in second.items()}


def _concatenated(first: np.ndarray | pa.Array, second: np.ndarray | pa.Array) -> np.ndarray | pa.Array:
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        return np.concatenate([first, second])
    return pa.concat_arrays([v if isinstance(v, pa.Array) else pa.array(v) for v in (first, second)])
