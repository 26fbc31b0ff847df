"""Rules for tables, the same for every engine: messages about ids, ends of edges, labels and splits.

`table` tells the files of its rows, `key` is the place in the YAML; `bad` are rows (from 0) that break the rule,
`values` the values of the first few of them. Rules for columns of features are in their transforms.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gconstruct.problems import EXAMPLES, BadRows, bad_rows, counted, shown
from gconstruct.values import Rows

Bad = Sequence[int] | np.ndarray
Values = Sequence[object]


def no_nodes(table: Rows, key: str) -> str:
    """A node table has no row."""
    return (
        f"{table.label()}: a node table must have at least one row (got none). "
        f"Leave out {key}.files to take the ids from edges"
    )


def null_ids(table: Rows, key: str, column: str, bad: Bad) -> BadRows:
    """Nodes without an id."""
    return bad_rows(table, bad, [None] * EXAMPLES, f"column {column!r}", "non-null: it is the id", _skip(key))


def repeated_ids(table: Rows, key: str, column: str, bad: Bad, values: Values, first: int) -> BadRows:
    """Nodes with the id of an earlier row; `first` is the row that first has the first of these ids."""
    file, row = table.place(first)
    rule = f"unique, for {file} row {row:,} has the first of these ids already"
    return bad_rows(table, bad, values, f"column {column!r}", rule, _skip(key))


def known_ids(table: Rows, key: str, column: str, bad: Bad, values: Values) -> BadRows:
    """Nodes with the id of a node of the graph that the table adds to."""
    return bad_rows(
        table, bad, values, f"column {column!r}", "new: the graph of graph.add_to has it already", _skip(key)
    )


def null_ends(table: Rows, key: str, column: str, bad: Bad) -> BadRows:
    """Edges without an end."""
    rule = "non-null: it is an end of an edge"
    return bad_rows(table, bad, [None] * EXAMPLES, f"column {column!r}", rule, _skip(key))


def repeated_edges(table: Rows, key: str, bad: Bad, values: Values) -> BadRows:
    """Edges with both ends of an earlier edge; `values` are their ends."""
    rule = "another edge than those of earlier rows"
    fix = f"Drop the rows or set {key}.on_repeated_edge: keep or drop"
    return bad_rows(table, bad, values, "the edge", rule, fix)


def unknown_nodes(
    table: Rows, key: str, column: str, node_type: str, bad: Bad, values: Values, edges: int, ids: int
) -> str:
    """Ends that are not in the node table: rows with different ids, and the number of all such edges and ids."""
    places = [table.place(int(row)) for row in bad]
    file, row = places[0]
    finding = f"got {shown(values[0])}"
    if edges > 1:
        others = [
            f"{shown(value)} in {'' if other_file == file else other_file + ' '}row {number:,}"
            for value, (other_file, number) in zip(values[1:], places[1:], strict=True)
        ]
        finding += f"; {counted(edges, 'edge')} with {counted(ids, 'unknown id')}" + "".join(f", {o}" for o in others)
    return (
        f"{file} row {row:,}: column {column!r} must be the id of a node of type {node_type!r} ({finding}). "
        f"Add the nodes, or set {key}.on_unknown_node: drop or create"
    )


def unknown_relations(table: Rows, key: str, column: str, known: Sequence[str], bad: Bad, values: Values) -> BadRows:
    """Rows whose relation the configuration does not name."""
    rule = f"one of {key}.relations ({', '.join(map(shown, known))})"
    return bad_rows(table, bad, values, f"column {column!r}", rule, f"Add it, or set {key}.on_unknown_relation: drop")


def no_labels(table: Rows, key: str, column: str, rows: int) -> str:
    """None of the rows has a label."""
    return (
        f"{table.label()}: column {column!r} must hold at least one label "
        f"(got {rows:,} rows without). Name another column in {key}.column"
    )


def many_classes(table: Rows, key: str, column: str, count: int, most: int) -> str:
    """A label of several classes has too many of them."""
    return (
        f"{table.label()}: column {column!r} must hold at most {most:,} classes (got {count:,}): each takes a byte a "
        f"row. Leave out rare ones, or make nodes and edges of them (see {key})"
    )


def infinite_labels(table: Rows, key: str, column: str, bad: Bad, values: Values) -> BadRows:
    """Labels that are infinite in the table."""
    fix = "Replace it by null to leave the row without a label"
    return bad_rows(table, bad, values, f"column {column!r}", "finite", fix)


def large_labels(table: Rows, key: str, column: str, bad: Bad, values: Values) -> BadRows:
    """Labels that would become infinite."""
    rule = f"at most {np.finfo(np.float32).max:.2g}, the largest number of float32"
    fix = f"Correct the value, or divide the whole column by a number (see {key})"
    return bad_rows(table, bad, values, f"column {column!r}", rule, fix)


def unknown_classes(table: Rows, key: str, column: str, bad: Bad, values: Values) -> BadRows:
    """Classes that the graph whose state is used does not have."""
    rule = f"a class that {key} has in the graph whose state is used"
    fix = "Correct the value, make it null, or construct the whole graph again"
    return bad_rows(table, bad, values, f"column {column!r}", rule, fix)


def unknown_splits(table: Rows, key: str, column: str, bad: Bad, values: Values) -> BadRows:
    """Words that name no split."""
    fix = f"Correct the value, or name another column in {key}.column"
    return bad_rows(table, bad, values, f"column {column!r}", "train, valid (val, validation), test or null", fix)


def _skip(key: str) -> str:
    return f"Drop the rows or set {key}.on_bad_id: skip"
