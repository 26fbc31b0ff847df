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
_RANGE_BITS = 8
"""Edges are dealt out to 256 ranges of targets"""


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
    again: 0.39 s for 5 million edges, where np.lexsort takes 1.6 s, two stable argsorts 1.2 and pyarrow 1.0. When they
    do not fit, the edges are dealt out to ranges of targets first, within which targets and rows are smaller numbers:
    1.3 s for 10 million edges between 2 million nodes, np.lexsort 4.3.
    """
    dtype = position_dtype(num_sources, num_targets)
    source_bits, target_bits = (max(count - 1, 0).bit_length() for count in (num_sources, num_targets))
    return _sorted(source, target, source_bits, target_bits, dtype)


def _sorted(
    source: np.ndarray, target: np.ndarray, source_bits: int, target_bits: int, dtype: type[np.int32 | np.int64]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    row_bits = max(len(source) - 1, 0).bit_length()
    if source_bits + target_bits + row_bits <= 64:
        return _sorted_packed(source, target, source_bits, row_bits, dtype)
    if target_bits == 0:
        order = np.argsort(source, kind="stable")
        return order, source[order].astype(dtype), target[order].astype(dtype)
    return _sorted_in_ranges(source, target, source_bits, target_bits, dtype)


def _sorted_packed(
    source: np.ndarray, target: np.ndarray, source_bits: int, row_bits: int, dtype: type[np.int32 | np.int64]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    packed = target.astype(np.uint64)
    for low, bits in ((source.astype(np.uint64), source_bits), (np.arange(len(source), dtype=np.uint64), row_bits)):
        packed <<= np.uint64(bits)
        packed |= low
    packed.sort()
    order = _take_low(packed, row_bits, np.int64)
    source = _take_low(packed, source_bits, dtype)
    return order, source, packed.astype(dtype)


def _sorted_in_ranges(
    source: np.ndarray, target: np.ndarray, source_bits: int, target_bits: int, dtype: type[np.int32 | np.int64]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ranges of targets with the same upper bits, one after another."""
    low_bits = max(target_bits - _RANGE_BITS, 0)
    high = (target >> low_bits).astype(np.uint8)
    order = np.argsort(high, kind="stable")  # a radix sort: 0.15 s for 10 million
    ends = np.cumsum(np.bincount(high)).tolist()
    source, target = source[order].astype(dtype), target[order].astype(dtype)
    for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
        if start == end:
            continue
        first, rows = dtype(number << low_bits), slice(start, end)
        of_range, source[rows], targets = _sorted(
            source[rows].copy(), target[rows] - first, source_bits, low_bits, dtype
        )
        order[rows] = order[rows][of_range]
        target[rows] = targets + first
    return order, source, target


def _take_low(packed: np.ndarray, bits: int, dtype: type[np.int32 | np.int64]) -> np.ndarray:
    """The low bits, which are shifted out of `packed`."""
    low: np.ndarray = (packed & np.uint64((1 << bits) - 1)).astype(dtype)
    packed >>= np.uint64(bits)
    return low
