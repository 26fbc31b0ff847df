"""Ids of a node table, batch by batch: which rows have none, which have one that is there already.

Nodes of a table are in the order of its rows. Nodes that only edges name follow, sorted, so that the order of edges,
files and batches does not matter: see `spill.id_map`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct import rules
from gconstruct.engines.arrow.ids import null_mask
from gconstruct.engines.arrow.work import DroppedRows, Places, TableSpool
from gconstruct.problems import EXAMPLES, Problems
from gconstruct.report.trace import KEPT_EXAMPLES
from gconstruct.spill.id_map import Repeated
from gconstruct.tables.table import Table
from gconstruct.values import all_integers


def without_null_ids(table: Table, column: str, skip: bool, dropped: DroppedRows, problems: Problems) -> Table:
    """The rows with an id. skip: rows without are left out; otherwise they are a problem."""
    ids = table.column(column)
    if not ids.null_count:
        return table
    null = null_mask(ids)
    if skip:
        dropped.add("null id", table, np.flatnonzero(null))
    else:
        problems.add(rules.null_ids(table, table.key, column, np.flatnonzero(null)))
    return table.keep(~null)


def without_repeated_ids(
    spool: TableSpool,
    repeated: Repeated,
    known: int,
    key: str,
    column: str,
    skip: bool,
    dropped: DroppedRows,
    problems: Problems,
) -> np.ndarray:
    """int64, sorted: the rows of the spool that are left out. known: number of ids of a known graph, which were added
    before those of the table."""
    rows, firsts = repeated.rows - known, repeated.firsts - known
    first_use = np.zeros(len(rows), bool)
    first_use[np.unique(firsts, return_index=True)[1]] = True
    of_graph = (firsts < 0) & first_use  # a second row with the same id repeats the first row
    for reason, wrong in (("repeated id", ~of_graph), ("id of the graph already", of_graph)):
        bad = rows[wrong]
        if not bad.size:
            continue
        if skip:
            for table, row in spool.find(bad[:KEPT_EXAMPLES].tolist()).values():
                dropped.add(reason, table, np.array([row]))
            dropped.by_reason[reason].count = len(bad)
            continue
        first = _first_row(rows, firsts, bad[0])
        found = spool.find([*bad[:EXAMPLES].tolist(), first])
        places = Places({row: table.place(local) for row, (table, local) in found.items()})
        values = [found[row][0].column(column)[found[row][1]].as_py() for row in bad[:EXAMPLES].tolist()]
        if reason == "repeated id":
            problems.add(rules.repeated_ids(places, key, column, bad, values, first))
        else:
            problems.add(rules.known_ids(places, key, column, bad, values))
    return rows


def _first_row(rows: np.ndarray, firsts: np.ndarray, row: int) -> int:
    """The row of the table that first has the id of a repeated row."""
    first = firsts[np.searchsorted(rows, row)]
    return int(first) if first >= 0 else int(rows[np.argmax(firsts == first)])


class IdColumn:
    """The id column as it is written, and its type. Ids that only CSV files name become int64 when all of them are
    integers."""

    def __init__(self, untyped: bool) -> None:
        self._may_be_integers = untyped
        self._any = False

    def see(self, ids: pa.Array) -> None:
        """Some of the ids."""
        if len(ids):
            self._any = True
            self._may_be_integers = self._may_be_integers and all_integers(ids)

    def cast(self, parts: Iterable[pa.Array]) -> Iterator[pa.Array]:
        """Ids as they are written, once all were seen."""
        for ids in parts:
            yield pc.cast(ids, pa.int64()) if self._any and self._may_be_integers else ids


def id_type_of(ids: pa.DataType) -> Literal["string", "int64"]:
    """As the manifest names it."""
    return "int64" if pa.types.is_int64(ids) else "string"
