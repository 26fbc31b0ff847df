"""`by:` of a partition method -> which column of each node type, and its values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.partitioners.base import OpenedGraph
from graphstorm_like.config.partitioners.by import POSITION
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


def columns_by_type(graph: OpenedGraph, config: ByColumn, default: str) -> dict[str, str]:
    """The Arrow column, or POSITION, of every node type.

    default: of types that `by` does not name, or that have not what it names. Raises ConfigError when a type lacks
    what is named for it, or when no type has it.
    """
    known = {name: _columns(schema) for name, schema in graph.nodes.items()}
    problem = config.problem(known)
    if problem is not None:
        raise ConfigError(f"graph.partitions: {problem}")
    by = config.by
    wanted = dict.fromkeys(known, by) if isinstance(by, str) else by
    return {name: columns.get(wanted.get(name, default), columns[default]) for name, columns in known.items()}


def values_of(graph: OpenedGraph, node_type: str, column: str) -> pa.ChunkedArray:
    """A column of all nodes; a label that is missing is null."""
    chunks = [_flat(piece.column(column)) for piece in graph.files.nodes(node_type).pieces]
    values = pa.chunked_array(chunks)
    if column.startswith(label_column("")) and pa.types.is_integer(values.type):
        return pc.if_else(pc.equal(values, NO_LABEL), pa.scalar(None, values.type), values)
    return values


def _columns(schema: NodeTypeSchema) -> dict[str, str]:
    """Arrow columns of a type by what `by` calls them. A feature and a label may share a name: the feature is meant."""
    names = {text: text_column(text) for text in schema.text}
    names |= {label: label_column(label) for label in schema.labels}
    names |= {name: feature_column(name) for name, feature in schema.features.items() if feature.width == 1}
    return names | {ID_COLUMN: ID_COLUMN, POSITION: POSITION}


def _flat(column: pa.Array) -> pa.Array:
    """A feature of one number is a list of one."""
    return column.flatten() if pa.types.is_fixed_size_list(column.type) else column
