"""What ids and rows that are left out need of a table: nulls, and examples for the report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.report.trace import KEPT_EXAMPLES, Dropped, Example
from gconstruct.tables.table import Table


def null_mask(column: pa.Array) -> np.ndarray:
    """bool (n): where the column is null"""
    mask: np.ndarray = pc.is_null(column).to_numpy(zero_copy_only=False)
    return mask


def dropped_rows(table: Table, rows: np.ndarray, columns: Sequence[str]) -> Dropped:
    """Rows (from 0) that are left out, for the report; `columns` hold the values that show why."""
    first = rows[:KEPT_EXAMPLES]
    by_column = [table.column(column).take(pa.array(first)).to_pylist() for column in columns]
    examples = [Example.of(table, row, *values) for row, *values in zip(first.tolist(), *by_column, strict=True)]
    return Dropped(len(rows), examples)
