"""Edge tables -> the node positions of their ends, and their attributes.

In: a Table with two id columns, and the ids of both node types. Out: EdgeRows in the order of the table.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from gconstruct import rules
from gconstruct.attributes import Attributes
from gconstruct.encoding import TableEncoder, TableState
from gconstruct.encoding.splits import hashed_ids
from gconstruct.engines.arrow.attributes import whole_table
from gconstruct.engines.arrow.ids import Ends, NodeIds, dropped_rows, null_mask
from gconstruct.problems import EXAMPLES, Problems
from gconstruct.report.trace import Dropped
from gconstruct.tables.table import Table
from graphstorm_like.config.graph import EdgeConfig


@dataclass(slots=True)
class EdgeRows:
    """The edges of one type; positions of their end nodes may still be unknown."""

    config: EdgeConfig
    source: Ends
    target: Ends
    attributes: Attributes
    dropped: dict[str, Dropped]
    files: int

    def __len__(self) -> int:
        return len(self.source.positions)


def encode_edges(
    table: Table, config: EdgeConfig, ids: dict[str, NodeIds], state: TableState | None, base: str, problems: Problems
) -> EdgeRows | None:
    """Look up both ends and encode the attributes, with a state that is known already or one of this table; None when
    `problems` were added. base: see TableEncoder."""
    before = len(problems)
    unknown = table.unknown_relations
    table, dropped = _without_null_ends(table, config, problems)
    if unknown:
        dropped["unknown relation"] = Dropped(unknown)
    if len(problems) > before:
        return None
    names = ((config.source, config.source_id), (config.target, config.target_id))
    lookups = [(ids[node_type], table.column(column)) for node_type, column in names]
    with ThreadPoolExecutor(2) as pool:  # pyarrow releases the GIL
        source, target = pool.map(lambda end: end[0].find(end[1]), lookups)
    keep = np.ones(len(table), bool)
    for ends, (node_type, column) in zip((source, target), names, strict=True):
        if ends.unresolved.size and not _may_create(config, ids[node_type]):
            keep[ends.unresolved] = False
            if config.on_unknown_node != "drop":
                problems.add(_unknown_nodes(table, ends, node_type, column))
    if len(problems) > before:
        return None
    if not keep.all():
        dropped["unknown node"] = dropped_rows(table, np.flatnonzero(~keep), _end_columns(config))
        table, source, target = table.keep(keep), source.keep(keep), target.keep(keep)
    encoder = TableEncoder(config, table.key, base)
    attributes = whole_table(encoder, table, state, lambda: hashed_ids(table, config), problems)
    if attributes is None:
        return None
    for ends, (node_type, _) in zip((source, target), names, strict=True):
        if ends.unresolved.size:
            ids[node_type].want(ends)
    return EdgeRows(config, source, target, attributes, dropped, len(table.plan.files))


def _without_null_ends(table: Table, config: EdgeConfig, problems: Problems) -> tuple[Table, dict[str, Dropped]]:
    bad = np.zeros(len(table), bool)
    for column in _end_columns(config):
        values = table.column(column)
        if values.null_count == 0:
            continue
        null = null_mask(values)
        bad |= null
        if config.on_bad_id == "error":
            problems.add(rules.null_ends(table, table.key, column, np.flatnonzero(null)))
    if not bad.any():
        return table, {}
    return table.keep(~bad), {"null end": dropped_rows(table, np.flatnonzero(bad), _end_columns(config))}


def _end_columns(config: EdgeConfig) -> list[str]:
    return list(dict.fromkeys((config.source_id, config.target_id)))


def _may_create(config: EdgeConfig, ids: NodeIds) -> bool:
    return not ids.has_table or config.on_unknown_node == "create"


def _unknown_nodes(table: Table, ends: Ends, node_type: str, column: str) -> str:
    """One message with the numbers of edges and ids, and three different ids with their rows."""
    firsts = np.unique(ends.codes, return_index=True)[1]
    rows = ends.unresolved[np.sort(firsts)[:EXAMPLES]]
    values = table.column(column).take(pa.array(rows)).to_pylist()
    counts = len(ends.unresolved), len(ends.uniques)
    return rules.unknown_nodes(table, table.key, column, node_type, rows, values, *counts)
