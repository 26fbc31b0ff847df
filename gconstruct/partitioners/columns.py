"""`by:` of a partition method -> which column of each node type, and its values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.partitioners.base import OpenedGraph
from graphstorm_like.errors import ConfigError, did_you_mean
from graphstorm_like.graph.schema import (
    ID_COLUMN,
    NO_LABEL,
    NodeTypeSchema,
    feature_column,
    label_column,
    text_column,
)

POSITION = "position"
"""Stands for the order of the table."""
_KEY = "graph.partitions.by"


def columns_by_type(graph: OpenedGraph, by: str | Mapping[str, str], default: str) -> dict[str, str]:
    """The Arrow column, or POSITION, of every node type.

    default: of types that `by` does not name, or that have not what it names. Raises ConfigError when a type lacks
    what is named for it, or when no type has it.
    """
    known = {name: _columns(schema) for name, schema in graph.nodes.items()}
    chosen = {name: columns[default] for name, columns in known.items()}
    if isinstance(by, str):
        having = {name: columns[by] for name, columns in known.items() if by in columns}
        if not having:
            every = dict.fromkeys(short for columns in known.values() for short in columns)
            raise ConfigError(_unknown(_KEY, by, every))
        return chosen | having
    for node_type, short in by.items():
        if node_type not in known:
            raise ConfigError(_unknown(f"{_KEY}: node type", node_type, known))
        if short not in known[node_type]:
            raise ConfigError(_unknown(f"{_KEY}.{node_type}", short, known[node_type]))
        chosen[node_type] = known[node_type][short]
    return chosen


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


def _unknown(where: str, name: str, known: Iterable[str]) -> str:
    names = list(known)
    return f"{where}: must be one of {', '.join(names)} (got {name!r}).{did_you_mean(name, names)}"
