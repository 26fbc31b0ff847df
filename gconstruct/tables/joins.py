"""Columns of other tables for the rows of a node table, found by id."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct import rules
from gconstruct.problems import EXAMPLES, Problems
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


def with_columns(table: Table, joins: Sequence[Join], others: Sequence[Table]) -> Table:
    """The table with the columns of the others: null where they lack the id."""
    joined = []
    data = table.data
    for join, other in zip(joins, others, strict=True):
        rows = pc.index_in(table.column(join.to), value_set=other.column(join.id), skip_nulls=True)
        for name in join.columns:
            data = data.append_column(name, other.column(name).take(rows))
        numbers = pc.fill_null(rows, -1).to_numpy(zero_copy_only=False).astype(np.int64)
        joined.append(Joined(other, join.columns, numbers))
    return Table(table.plan, data, table.segments, table.rows, table.unknown_relations, joined)
