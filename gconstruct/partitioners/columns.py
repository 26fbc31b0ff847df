"""Methods that look at one column of each node type: `by:` -> which column, its values, and parts of them.

Engines with pieces of tables call the steps by themselves; `assign` does all of them for an opened graph.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import ClassVar, Protocol, TypeVar, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.partitioners.base import Assignment, OpenedGraph, Partitioner
from graphstorm_like.config.partitioners import POSITION, PartitionsConfig
from graphstorm_like.errors import ConfigError
from graphstorm_like.graph.schema import (
    ID_COLUMN,
    NO_LABEL,
    NodeTypeSchema,
    feature_column,
    label_column,
    text_column,
)


class ByColumn(Protocol):
    """A configuration with `by`."""

    @property
    def by(self) -> str | dict[str, str]:
        """A column, or a column for each node type."""
        ...

    def problem(self, columns: Mapping[str, Collection[str]]) -> str | None:
        """See PartitionsConfig."""
        ...


Config = TypeVar("Config", bound=PartitionsConfig)


class ColumnPartitioner(Partitioner[Config]):
    """A method whose configuration is ByColumn, for which nodes are the values of one column, in their order."""

    default: ClassVar[str]
    """The column of types that `by` does not name, or that have not what it names."""
    needs_all_rows: ClassVar[bool]
    """Whether `parts` must get all nodes of a type at once. Otherwise the part of a node follows from its value."""

    @abstractmethod
    def parts(self, values: pa.ChunkedArray) -> np.ndarray:
        """int32 (n): the partition of each node. values (n): null where there is none; of POSITION only nulls."""

    @property
    def by(self) -> ByColumn:
        """The configuration."""
        return cast(ByColumn, self.config)

    def assign(self, graph: OpenedGraph) -> Assignment:
        """See Partitioner."""
        check_by(graph.nodes, self.by)
        return {name: self.parts(self._values(graph, name)) for name in graph.nodes}

    def _values(self, graph: OpenedGraph, node_type: str) -> pa.ChunkedArray:
        column = column_of(node_type, graph.nodes[node_type], self.by, self.default)
        if column == POSITION:
            return positions_only(graph.nodes[node_type].count)
        return pa.chunked_array([values_of(piece, column) for piece in graph.files.nodes(node_type).pieces])


def check_by(nodes: Mapping[str, NodeTypeSchema], config: ByColumn) -> None:
    """Raises ConfigError when a type lacks what `by` names for it, or when no type has it."""
    problem = config.problem({name: _columns(schema) for name, schema in nodes.items()})
    if problem is not None:
        raise ConfigError(f"graph.partitions: {problem}")


def column_of(node_type: str, schema: NodeTypeSchema, config: ByColumn, default: str) -> str:
    """The Arrow column of a node type, or POSITION."""
    columns, by = _columns(schema), config.by
    wanted = by if isinstance(by, str) else by.get(node_type, default)
    return columns.get(wanted, columns[default])


def positions_only(nodes: int) -> pa.ChunkedArray:
    """Nodes of which nothing counts but their order."""
    return pa.chunked_array([pa.nulls(nodes)])


def values_of(rows: pa.RecordBatch, column: str) -> pa.Array:
    """A column of nodes as they are written; a label that is missing is null."""
    values = rows.column(column)
    if pa.types.is_fixed_size_list(values.type):  # a feature of one number
        values = values.flatten()
    if column.startswith(label_column("")) and pa.types.is_integer(values.type):
        return pc.if_else(pc.equal(values, NO_LABEL), pa.scalar(None, values.type), values)
    return values


def _columns(schema: NodeTypeSchema) -> dict[str, str]:
    """Arrow columns of a type by what `by` calls them. A feature and a label may share a name: the feature is meant."""
    names = {text: text_column(text) for text in schema.text}
    names |= {label: label_column(label) for label in schema.labels}
    names |= {name: feature_column(name) for name, feature in schema.features.items() if feature.width == 1}
    return names | {ID_COLUMN: ID_COLUMN, POSITION: POSITION}
