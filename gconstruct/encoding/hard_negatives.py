"""Ids of an edge's hard negatives -> one string per edge, until nodes are numbered (see gconstruct.hard_negatives)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.kinds import kind_of
from gconstruct.values import TableRows
from graphstorm_like.config.graph import HardNegativesColumn

SEPARATOR = "\x1f"
"""The unit separator of ASCII, between the ids of a list."""


def joined_ids(table: TableRows, config: HardNegativesColumn) -> pa.Array:
    """large_string (n), null where a row has no ids: as the column has it, or the ids of a list with SEPARATOR."""
    column = table.column(config.column)
    if not kind_of(column.type).startswith("list of "):
        return pc.cast(column, pa.large_string())
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))
    items = pc.fill_null(pc.cast(column.flatten(), pa.large_string()), "")  # a null within would make all of it null
    return pc.binary_join(pa.LargeListArray.from_arrays(offsets, items), pa.scalar(SEPARATOR, pa.large_string()))
