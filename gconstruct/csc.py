"""Edges -> rows sorted by target, with index pointers (CSC).

In: the two ends of m edges as node positions, and their attributes. Out: columns source, target (see
`position_dtype`), the attributes, and index pointers int64 (targets + 1). Rows of one target are sorted by source;
repeated edges stay, in the order of the table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from gconstruct.attributes import Attributes
from graphstorm_like.graph.schema import SOURCE_COLUMN, TARGET_COLUMN

MAX_INT32_NODES = 2**31


def position_dtype(*counts: int) -> type[np.int32 | np.int64]:
    """The dtype of columns that hold positions of node types with these numbers of nodes."""
    return np.int32 if max(counts) < MAX_INT32_NODES else np.int64


@dataclass(frozen=True, slots=True)
class SortedEdges:
    """One edge type as it is written."""

    columns: dict[str, np.ndarray | pa.Array]
    indptr: np.ndarray
    repeated: int
    """Number of edges with the same two ends as an earlier row"""


def sort_edges(
    source: np.ndarray, target: np.ndarray, num_sources: int, num_targets: int, attributes: Attributes
) -> SortedEdges:
    """Sort by target, then source, stably; count where each target starts."""
    order = csc_order(source, target, num_sources, num_targets)
    dtype = position_dtype(num_sources, num_targets)
    source, target = source[order].astype(dtype), target[order].astype(dtype)
    indptr = np.zeros(num_targets + 1, np.int64)
    np.cumsum(np.bincount(target, minlength=num_targets), out=indptr[1:])
    repeated = int(np.count_nonzero((source[1:] == source[:-1]) & (target[1:] == target[:-1])))
    columns = {SOURCE_COLUMN: source, TARGET_COLUMN: target, **attributes.take(order)}
    return SortedEdges(columns, indptr, repeated)


def csc_order(source: np.ndarray, target: np.ndarray, num_sources: int, num_targets: int) -> np.ndarray:
    """int64 (m): the stable order by target, then source.

    Target, source and row are packed into one 64-bit number, so that a plain sort suffices: 0.3 s for 5 million edges,
    where np.lexsort takes 1.4 s. They fit while targets * sources * edges is below about 2**64.
    """
    source_bits = max(num_sources - 1, 0).bit_length()
    row_bits = max(len(source) - 1, 0).bit_length()
    bits = source_bits + max(num_targets - 1, 0).bit_length()
    if bits > 64:
        return np.lexsort((source, target))
    key = (target.astype(np.uint64) << np.uint64(source_bits)) | source.astype(np.uint64)
    if bits + row_bits > 64:
        return np.argsort(key, kind="stable")
    packed = (key << np.uint64(row_bits)) | np.arange(len(key), dtype=np.uint64)
    packed.sort()
    return (packed & np.uint64((1 << row_bits) - 1)).astype(np.int64)
