"""Rows of small tables, encoded with the state of a graph, in memory: for a server that gets new nodes in a request.

The same readers and encoders as of construction, without files: each table is read whole, and nothing is sorted.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from gconstruct.encoding import TableEncoder
from gconstruct.encoding.splits import hashed_ids
from gconstruct.encoding.table import Columns, Encoded
from gconstruct.kinds import USES, accepts
from gconstruct.known import known_graph
from gconstruct.problems import Problems, Unquoted, shown
from gconstruct.tables.needs import Need, edge_needs, node_needs
from gconstruct.tables.plan import TablePlan, plan_tables
from gconstruct.tables.read import read_table
from gconstruct.tables.table import Table
from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.graph import EdgeConfig, GraphConfig, NodeConfig
from graphstorm_like.errors import DataError, did_you_mean


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


def needed_columns(config: GraphConfig) -> dict[str, list[Need]]:
    """Return the columns that must be in the rows of each table, by "nodes.TYPE" or "edges.SOURCE:RELATION:TARGET":
    ids and inputs, without labels and splits."""
    needs: dict[str, list[Need]] = {}
    for name, node in config.nodes.items():
        if node.has_table:
            unlabelled = node.model_copy(update={"labels": {}})
            needs[f"nodes.{name}"] = node_needs(f"nodes.{name}", unlabelled)
    for edge in config.edges:
        unlabelled_edge = edge.model_copy(update={"labels": {}, "split": None, "hard_negatives": None})
        key = f"edges.{edge_name(edge.edge_type)}"
        needs[key] = edge_needs(key, unlabelled_edge)
    return needs


def rows_table(where: str, rows: Sequence[Mapping[str, Any]], needs: Sequence[Need]) -> pa.Table:
    """Return rows of plain JSON values as an Arrow table of the columns `needs`; what else the rows hold is left out.

    Raises DataError that names the row (from 1) and the column of the first value that cannot be used so.
    """
    if not rows:
        raise DataError(f"{where}: must have at least one row (got none). Leave it out")
    arrays: dict[str, pa.Array] = {}
    for need in needs:
        if not any(need.column in row for row in rows):
            got = ", ".join(map(repr, rows[0])) or "none"
            similar = did_you_mean(need.column, rows[0])
            raise DataError(f"{where} row 1: column {need.column!r} must be given (got {got}).{similar}")
        values = [row.get(need.column) for row in rows]
        for number, value in enumerate(values, start=1):
            rule = _broken_rule(need, value)
            if rule is not None:
                got = shown(Unquoted(reprlib.repr(value)) if isinstance(value, list | dict) else value)
                raise DataError(f"{where} row {number}: column {need.column!r} must hold {rule} (got {got})")
        arrays.setdefault(need.column, _array(where, need.column, values))
    return pa.table(arrays)


_KINDS = {type(None): "null", str: "string", bool: "boolean", int: "integer", float: "float"}


def _broken_rule(need: Need, value: Any) -> str | None:
    """What a value must be that is used so, if it is not. Lists are flat; deeper ones are of no use."""
    items = value if isinstance(value, list) else [value]
    prefix = "list of " if isinstance(value, list) else ""
    for item in items:
        kind = _KINDS.get(type(item), "other")
        if not accepts(need.use, f"{prefix}{kind}") and not (prefix and kind == "null"):
            return USES[need.use][0]
        if isinstance(item, int) and not -(2**63) <= item < 2**63:
            return "whole numbers of at most 64 bits"
        if isinstance(item, str) and not _is_unicode(item):
            return "text without lone surrogates (\\ud800 to \\udfff)"
    return None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _array(where: str, column: str, values: list[Any]) -> pa.Array:
    """Values of a column. DataError names the first row whose value is of another type than those before."""
    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        first = next(value for value in values if value is not None)
        for number, value in enumerate(values, start=1):
            try:
                pa.array(values[:number])
            except (pa.ArrowException, TypeError, ValueError, OverflowError):
                raise DataError(
                    f"{where}: rows must have values of one type in each column (got {shown(value)} in row {number}, "
                    f"column {column!r}, after {shown(first)})"
                ) from None
        raise
