"""`method: range`: nodes in the order of a column, cut into equal parts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.partitioners.base import PARTITIONERS
from gconstruct.partitioners.columns import ColumnPartitioner
from graphstorm_like.config.partitioners import POSITION, RangePartitions


@PARTITIONERS.register(RangePartitions)
class RangePartitioner(ColumnPartitioner[RangePartitions]):
    """Partitions of one type differ by at most one node. Memory: 4 bytes per node by position; by a column, the column
    and 16 bytes per node of one type."""

    default, needs_all_rows = POSITION, True

    def parts(self, values: pa.ChunkedArray) -> np.ndarray:
        """See ColumnPartitioner."""
        equal = equal_ranges(len(values), self.config.count)
        if pa.types.is_null(values.type):
            return equal
        if pa.types.is_floating(values.type):
            values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
        # By value, then position: equal values keep the order of the table.
        table = pa.table({"value": values, "position": pa.array(np.arange(len(values)))})
        order = pc.sort_indices(table, sort_keys=[("value", "ascending"), ("position", "ascending")]).to_numpy()
        parts = np.empty(len(order), np.int32)
        parts[order] = equal
        return parts


def equal_ranges(nodes: int, count: int) -> np.ndarray:
    """int32 (nodes), ascending: 0 ... 0 1 ... 1 ..., in which sizes differ by at most one."""
    sizes = np.full(count, nodes // max(count, 1))
    sizes[: nodes % count] += 1
    return np.repeat(np.arange(count, dtype=np.int32), sizes)
