"""The rows of a table that are edges of one type, where a column tells the relation."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct import rules
from gconstruct.problems import EXAMPLES, Problems
from gconstruct.tables.table import Table


def select_rows(table: Table, problems: Problems) -> Table:
    """The rows that the plan wants. Rows of no known relation go to `problems`, or are counted."""
    wanted = table.plan.rows
    if wanted is None:
        return table
    words = pc.cast(table.column(wanted.column), pa.large_string())
    keep = _is_in(words, wanted.values)
    unknown = np.empty(0, np.int64)
    if wanted.on_unknown != "ignore":
        unknown = np.flatnonzero(~keep & ~_is_in(words, wanted.others))
        if unknown.size and wanted.on_unknown == "error":
            values = words.take(pa.array(unknown[:EXAMPLES])).to_pylist()
            known = (*wanted.values, *wanted.others)
            problems.add(rules.unknown_relations(table, wanted.key, wanted.column, known, unknown, values))
    selected = table.keep(keep)
    selected.unknown_relations = int(unknown.size)
    return selected


def _is_in(words: pa.Array, values: tuple[str, ...]) -> np.ndarray:
    """bool (n); false for null"""
    found: np.ndarray = pc.is_in(words, value_set=pa.array(values, pa.large_string())).to_numpy(zero_copy_only=False)
    return found
