"""Columns of other tables for the rows of a node table, found by id."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct import rules
from gconstruct.problems import EXAMPLES, Problems
from gconstruct.spill.id_index import IdLookup
from gconstruct.tables.plan import Join
from gconstruct.tables.table import Joined, Table


def with_unique_ids(table: Table, join: Join, problems: Problems) -> Table:
    """The table that is to be joined, with one row an id; what stands against that goes to `problems`."""
    ids = table.column(join.id)
    null = pc.is_null(ids).to_numpy(zero_copy_only=False)
    codes = pc.fill_null(ids.dictionary_encode().indices, -1).to_numpy(zero_copy_only=False)
    repeated = np.ones(len(ids), bool)
    repeated[np.unique(codes, return_index=True)[1]] = False
    repeated &= ~null
    if not join.skip_bad_ids:
        bad, key = np.flatnonzero(repeated), table.key.rpartition(".join[")[0]
        if null.any():
            problems.add(rules.null_ids(table, key, join.id, np.flatnonzero(null)))
        if bad.size:
            values = ids.take(pa.array(bad[:EXAMPLES])).to_pylist()
            first = int(np.argmax(codes == codes[bad[0]]))
            problems.add(rules.repeated_ids(table, key, join.id, bad, values, first))
    return table.keep(~null & ~repeated) if null.any() or repeated.any() else table


class JoinedTable:
    """A table that is joined, with an index of its ids for all batches of the other one."""

    def __init__(self, join: Join, table: Table) -> None:
        """table: as `with_unique_ids` gives it."""
        self.join, self.table = join, table
        self._rows = IdLookup(table.column(join.id))

    def rows(self, ids: pa.Array) -> np.ndarray:
        """int64 (m): the row with each id, -1 where there is none."""
        return self._rows.find(ids)


def with_columns(table: Table, others: Sequence[JoinedTable]) -> Table:
    """The table with the columns of the others: null where they lack the id."""
    joined = []
    data = table.data
    for other in others:
        join, numbers = other.join, other.rows(table.column(other.join.to))
        rows = pa.array(numbers, mask=numbers < 0)
        for name in join.columns:
            data = data.append_column(name, other.table.column(name).take(rows))
        joined.append(Joined(other.table, join.columns, numbers))
    return Table(table.plan, data, table.segments, table.rows, table.unknown_relations, joined)
