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
"""Keys are dealt out to 256 ranges"""
_MANY_KEYS, _CACHED_KEYS, _MOST_RANGES = 1 << 20, 1 << 16, 1 << 12


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
    """The stable order by target, then source, int64 (m), and both ends in that order (see `position_dtype`)."""
    dtype = position_dtype(num_sources, num_targets)
    source_bits, target_bits = position_bits(num_sources), position_bits(num_targets)
    if source_bits + target_bits > 64:  # types of more than four billion nodes
        order: np.ndarray = np.lexsort((source, target))
        return order, source[order].astype(dtype), target[order].astype(dtype)
    keys = pair_keys(source, target, source_bits)
    order = sort_keys(keys, source_bits + target_bits)
    return order, *ends_of_keys(keys, source_bits, dtype)


def position_bits(count: int) -> int:
    """Bits of the positions of so many nodes."""
    return max(count - 1, 0).bit_length()


def pair_keys(source: np.ndarray, target: np.ndarray, source_bits: int) -> np.ndarray:
    """uint64 (m): target and source in one number, which sorts as they do."""
    keys: np.ndarray = target.astype(np.uint64)
    keys <<= np.uint64(source_bits)
    keys |= source.astype(np.uint64)
    return keys


def ends_of_keys(keys: np.ndarray, source_bits: int, dtype: type[np.int32 | np.int64]) -> tuple[np.ndarray, np.ndarray]:
    """(source, target) of keys (m)."""
    source = (keys & np.uint64((1 << source_bits) - 1)).astype(dtype)
    return source, (keys >> np.uint64(source_bits)).astype(dtype)


def sort_keys(keys: np.ndarray, bits: int) -> np.ndarray:
    """Sort uint64 keys (m) of so many bits in place, and return their stable order before, int64 (m).

    Key and row are packed into one 64-bit number, so that a plain sort suffices: 0.39 s for 5 million, where
    np.lexsort takes 1.6 s, two stable argsorts 1.2 and pyarrow 1.0. When they do not fit, keys are dealt out to ranges
    first, within which keys and rows are smaller numbers.
    """
    row_bits = position_bits(len(keys))
    if bits + row_bits <= 64:
        packed = keys << np.uint64(row_bits)
        packed |= np.arange(len(keys), dtype=np.uint64)
        packed.sort()
        np.right_shift(packed, np.uint64(row_bits), out=keys)
        packed &= np.uint64((1 << row_bits) - 1)
        return packed.view(np.int64)
    low_bits = bits - _RANGE_BITS
    high = (keys >> np.uint64(low_bits)).astype(np.uint8)
    order = np.argsort(high, kind="stable")  # a radix sort: 0.15 s for 10 million
    keys[:] = keys.take(order)
    ends = np.cumsum(np.bincount(high)).tolist()
    for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
        of_range, first = keys[start:end], np.uint64(number << low_bits)
        of_range -= first
        order[start:end] = order[start:end].take(sort_keys(of_range, low_bits))
        of_range += first
    return order


def sort_only_keys(keys: np.ndarray, bits: int) -> None:
    """Sort uint64 keys (m) of so many bits in place: 0.31 s for 10 million of 42 bits, where np.sort takes 0.69.

    Many keys are dealt out to ranges of their upper bits, some at a time in the CPU's cache; 32-bit numbers are left.
    """
    count = 1 << max(bits - 32, 0)
    if len(keys) < _MANY_KEYS or count > _MOST_RANGES:
        keys.sort()
        return
    parts = [keys[start : start + _CACHED_KEYS] for start in range(0, len(keys), _CACHED_KEYS)]
    ranges = [(part >> np.uint64(32)).astype(np.uint16) for part in parts]
    of_parts = np.stack([np.bincount(of_part, minlength=count) for of_part in ranges])
    ends = np.cumsum(of_parts.sum(axis=0))
    free = ends - of_parts.sum(axis=0)
    low = np.empty(len(keys), np.uint32)
    for part, of_part, counts in zip(parts, ranges, of_parts, strict=True):
        order = np.argsort(of_part, kind="stable")  # a radix sort
        moved_by = free - np.cumsum(counts) + counts
        low[np.arange(len(part)) + np.repeat(moved_by, counts)] = part.take(order).astype(np.uint32)
        free += counts
    for number, (start, end) in enumerate(zip([0, *ends.tolist()], ends.tolist(), strict=False)):
        low[start:end].sort()
        keys[start:end] = low[start:end]
        keys[start:end] |= np.uint64(number << 32)
