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
    order, source, target = sorted_ends(source, target, num_sources, num_targets)
    indptr = np.zeros(num_targets + 1, np.int64)
    np.cumsum(np.bincount(target, minlength=num_targets), out=indptr[1:])
    repeated = int(np.count_nonzero((source[1:] == source[:-1]) & (target[1:] == target[:-1])))
    columns = {SOURCE_COLUMN: source, TARGET_COLUMN: target, **attributes.take(order)}
    return SortedEdges(columns, indptr, repeated)


def sorted_ends(
    source: np.ndarray, target: np.ndarray, num_sources: int, num_targets: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The stable order by target, then source, int64 (m), and both ends in that order (see `position_dtype`).

    Target, source and row are packed into one 64-bit number, so that a plain sort suffices, and the ends are unpacked
    again: 0.39 s for 5 million edges, where np.lexsort takes 1.6 s, two stable argsorts 1.2 and pyarrow 1.0. They fit
    while targets * sources * edges is below about 2**64.
    """
    dtype = position_dtype(num_sources, num_targets)
    source_bits, target_bits = (np.uint64(max(count - 1, 0).bit_length()) for count in (num_sources, num_targets))
    row_bits = np.uint64(max(len(source) - 1, 0).bit_length())
    if source_bits + target_bits + row_bits > 64:
        order = np.lexsort((source, target))
        return order, source[order].astype(dtype), target[order].astype(dtype)
    packed = target.astype(np.uint64)
    for low, bits in ((source.astype(np.uint64), source_bits), (np.arange(len(source), dtype=np.uint64), row_bits)):
        packed <<= bits
        packed |= low
    packed.sort()
    order = _take_low(packed, row_bits, np.int64)
    source = _take_low(packed, source_bits, dtype)
    return order, source, packed.astype(dtype)


def _take_low(packed: np.ndarray, bits: np.uint64, dtype: type[np.int32 | np.int64]) -> np.ndarray:
    """The low bits, which are shifted out of `packed`."""
    low: np.ndarray = (packed & np.uint64((1 << int(bits)) - 1)).astype(dtype)
    packed >>= bits
    return low
