"""Hard negatives of edges: the ids that engines have written -> positions of nodes, once all nodes are numbered.

Every engine writes a column of strings (encoding/hard_negatives.py); here it becomes a fixed-size list of positions.
Reverse types lose it: what is a wrong target of an edge is no wrong target of its reverse. Memory: the ids of one node
type, and the positions of one edge type.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.csc import position_dtype
from gconstruct.encoding.hard_negatives import SEPARATOR
from gconstruct.manifest import Construction
from gconstruct.opened import GraphFiles, open_file
from gconstruct.problems import counted, shown
from gconstruct.rewrite import rewrite
from graphstorm_like.config.base import edge_name
from graphstorm_like.config.graph import EdgeConfig, GraphConfig
from graphstorm_like.errors import DataError
from graphstorm_like.graph.schema import HARD_NEGATIVES_COLUMN, ID_COLUMN

_BLOCK = 1 << 18


def unnumbered(config: GraphConfig, graph: Construction) -> bool:
    """Whether there are hard negatives that the engine has not numbered itself."""
    numbered = {edge.edge_type for edge in graph.edges if edge.hard_negatives}
    return any(edge.hard_negatives and edge.edge_type not in numbered for edge in config.edges)


def number_hard_negatives(
    config: GraphConfig, folder: Path, graph: Construction, say: Callable[[str], None]
) -> Construction:
    """Of all edge types that have them, in the one partition in `folder`, which `graph` describes; returns its new
    description. Raises DataError that names an id which no node has, unless such ids are left out."""
    [partition] = graph.partitions
    files, edges, dropped, grew = GraphFiles(folder, graph.partitions), list(graph.edges), dict(graph.dropped), 0
    for number, edge in enumerate(config.edges):
        if edge.hard_negatives is None:
            continue
        name, key = edge_name(edge.edge_type), config.edge_key(number)
        path = folder / partition.folder / partition.edge_files[name]
        ids = _ids(files, edge.target)
        known = IdNumbers(ids, np.arange(len(ids)), len(ids))
        positions, unknown, example = known.positions(open_file(path).column(HARD_NEGATIVES_COLUMN), edge)
        check_unknown(edge, key, unknown, example)
        if unknown:
            dropped[f"edges.{name}.hard_negatives: unknown node"] = unknown
        grew += rewrite(path, {HARD_NEGATIVES_COLUMN: positions})
        if edge.reverse_type is not None:
            reverse = folder / partition.folder / partition.edge_files[edge_name(edge.reverse_type)]
            grew += rewrite(reverse, {}, [HARD_NEGATIVES_COLUMN])
        at = next(i for i, schema in enumerate(edges) if schema.edge_type == edge.edge_type)
        edges[at] = edges[at].model_copy(update={"hard_negatives": positions.shape[1]})
        given = int(np.count_nonzero((positions >= 0).any(axis=1)))
        say(f"{name}: {counted(given, 'edge')} with hard negatives")
    whole = partition.model_copy(update={"bytes": partition.bytes + grew})
    return Construction(graph.nodes, edges, [whole], dropped)


def _ids(files: GraphFiles, node_type: str) -> pa.Array:
    """large_string (nodes)"""
    return pa.concat_arrays([pc.cast(p.column(ID_COLUMN), pa.large_string()) for p in files.nodes(node_type).pieces])


def check_unknown(edge: EdgeConfig, key: str, unknown: int, example: str | None) -> None:
    """Raises DataError about ids that no node has, unless they are left out."""
    assert edge.hard_negatives is not None
    if unknown and edge.on_unknown_node == "error":
        raise DataError(
            f"{key}.hard_negatives: column {edge.hard_negatives.column!r} must hold ids of nodes of type "
            f"{edge.target!r} (got {shown(example)}; {counted(unknown, 'unknown id')} in all). Correct the table, "
            f"or set {key}.on_unknown_node: drop"
        )


@dataclass(frozen=True, slots=True)
class IdNumbers:
    """Ids of nodes and their positions."""

    ids: pa.Array
    """large_string (n)"""
    numbers: np.ndarray
    """int64 (n)"""
    nodes: int
    """Of the type"""

    def positions(self, column: pa.Array, edge: EdgeConfig) -> tuple[np.ndarray, int, str | None]:
        """(positions (edges, count), unknown ids, one of them). column: strings as engines write them"""
        chosen = edge.hard_negatives
        assert chosen is not None
        positions = np.full((len(column), chosen.count), -1, position_dtype(self.nodes))
        unknown, example = 0, None
        for start in range(0, len(column), _BLOCK):
            rows, items = split_ids(column.slice(start, _BLOCK), chosen.separator)
            found = pc.index_in(items, value_set=self.ids)
            missing = pc.is_null(found)
            if found.null_count:
                unknown += found.null_count
                example = example or items.filter(missing)[0].as_py()
                known = pc.invert(missing).to_numpy(zero_copy_only=False)
                rows, found = rows[known], found.drop_null()
            place = np.arange(len(rows)) - np.searchsorted(rows, rows)  # within its row
            kept = place < chosen.count
            numbers = self.numbers[found.to_numpy(zero_copy_only=False)]
            positions[start + rows[kept], place[kept]] = numbers[kept]
        return positions, unknown, example


def split_ids(column: pa.Array, separator: str | None) -> tuple[np.ndarray, pa.Array]:
    """(row of each id, ids), without empty ones"""
    lists = pc.split_pattern(column, pattern=SEPARATOR if separator is None else separator)
    items = lists.flatten()
    if separator is not None:
        items = pc.utf8_trim_whitespace(items)
    there = pc.not_equal(items, "")
    rows = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)
    return rows[there.to_numpy(zero_copy_only=False)], items.filter(there)
