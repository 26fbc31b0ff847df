"""Rows of small tables, encoded with the state of a graph, in memory: for a server that gets new nodes in a request.

The same readers and encoders as of construction, without files: each table is read whole, and nothing is sorted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from gconstruct.encoding import TableEncoder
from gconstruct.encoding.splits import hashed_ids
from gconstruct.encoding.table import Columns, Encoded
from gconstruct.known import known_graph
from gconstruct.problems import Problems
from gconstruct.tables.plan import TablePlan, plan_tables
from gconstruct.tables.read import read_table
from gconstruct.tables.table import Table
from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.graph import EdgeConfig, GraphConfig, NodeConfig


@dataclass(frozen=True, slots=True)
class EncodedNodes:
    """ids [n] as they are in the table; columns by their name in the graph folder."""

    ids: pa.Array
    columns: Columns


@dataclass(frozen=True, slots=True)
class EncodedEdges:
    """Ids [n] of both ends as they are in the table; columns by their name in the graph folder."""

    sources: pa.Array
    targets: pa.Array
    columns: Columns


@dataclass(frozen=True, slots=True)
class EncodedRows:
    """Of each table of the configuration."""

    nodes: Mapping[str, EncodedNodes]
    edges: Mapping[EdgeType, EncodedEdges]


def encode_rows(config: GraphConfig) -> EncodedRows:
    """Encode the tables of a configuration with `graph.like`, whose state they get; types of that graph may be missing.

    Raises DataError with everything that is wrong, by table, column and row. Ids are not looked at, except that they
    must not be null.
    """
    problems = Problems()
    known = known_graph(config)
    known.check_tables(problems, without_tables=False)
    node_plans, edge_plans = plan_tables(config, problems)
    base = config.base or "."
    nodes: dict[str, EncodedNodes] = {}
    for name, plan in node_plans.items():
        node = config.nodes[name]
        encoder = TableEncoder(node, plan.key, base, known.node_state(name))
        table = _read(plan, [str(node.id)], problems)
        if table is None:
            continue
        encoded = _encode(encoder, table, node, problems)
        if encoded is not None:
            nodes[name] = EncodedNodes(table.column(str(node.id)), encoded.columns)
    edges: dict[EdgeType, EncodedEdges] = {}
    for edge, plan in zip(config.edges, edge_plans, strict=True):
        table = _read(plan, list(edge.id_columns), problems)
        if table is None:
            continue
        encoder = TableEncoder(edge, plan.key, base, known.edge_state(edge))
        encoded = _encode(encoder, table, edge, problems)
        if encoded is not None:
            sources, targets = table.column(edge.source_id), table.column(edge.target_id)
            edges[edge.edge_type] = EncodedEdges(sources, targets, encoded.columns)
    problems.raise_if_any()
    return EncodedRows(nodes, edges)


def _read(plan: TablePlan, id_columns: list[str], problems: Problems) -> Table | None:
    table = read_table(plan, problems)
    if table is None:
        return None
    for column in id_columns:
        missing = np.flatnonzero(table.column(column).is_null().to_numpy(zero_copy_only=False))
        if len(missing):
            path, row = table.place(int(missing[0]))
            problems.add(f"{path} row {row:,}: column {column!r} must hold ids (got none). Give every row one")
            return None
    return table


def _encode(encoder: TableEncoder, table: Table, config: NodeConfig | EdgeConfig, problems: Problems) -> Encoded | None:
    state = encoder.state({}, table, problems)
    if state is None:
        return None
    return encoder.apply(table, state, lambda: hashed_ids(table, config), problems)
