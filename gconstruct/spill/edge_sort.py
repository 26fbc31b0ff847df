"""Edges in any order -> sorted by (target, source, row) in pieces, as `csc.sort_edges` sorts them as a whole.

In: batches with both ends as numbers, and attributes. When they exceed the memory they are dealt out to files by
ranges of targets with about equally many edges, found in a sample; each range is sorted by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from gconstruct.csc import (
    ends_of_keys,
    pair_keys,
    position_bits,
    position_dtype,
    sort_keys,
    sort_only_keys,
    sorted_ends,
)
from gconstruct.spill.batches import BatchSpool, Buckets

ENDS = ("source", "target")
_SAMPLE = 1 << 16
_MAX_RANGES = 256
_WORKING = 8
"""Memory that sorting takes, in sizes of what is sorted: the rows, and for each direction the rows in one piece, packed
ends and the order."""
_ROWS = 1 << 18  # of a sorted piece

Positions = Callable[[np.ndarray], np.ndarray]
"""Final positions of nodes from their numbers, which nodes that edges add get only in the end"""
Columns = dict[str, np.ndarray | pa.Array]


class EdgeSpool:
    """Edges of one type in the order of their table: the numbers of their ends, and their attributes. dtype: int32 if
    all of these numbers fit."""

    def __init__(self, path: Path, memory: int, dtype: type[np.int32 | np.int64] = np.int64) -> None:
        self._memory, self._path, self._dtype = memory, path, dtype
        self._spool = BatchSpool(path, memory // _WORKING)
        self._stride = 1
        self._sample: list[np.ndarray] = []
        self._sampled = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._spool.rows

    def append(self, source: np.ndarray, target: np.ndarray, attributes: pa.RecordBatch) -> None:
        """Add edges. source, target: int64 (m)"""
        start = -self._spool.rows % self._stride
        picked = np.stack([source[start :: self._stride], target[start :: self._stride]])
        self._sample.append(picked)
        self._sampled += picked.shape[1]
        if self._sampled > 2 * _SAMPLE:
            whole = np.concatenate(self._sample, axis=1)[:, ::2]
            self._sample, self._sampled, self._stride = [whole], whole.shape[1], 2 * self._stride
        numbers = (pa.array(end.astype(self._dtype, copy=False)) for end in (source, target))
        arrays = [*numbers, *attributes.columns]
        batch = pa.record_batch(arrays, names=[*ENDS, *attributes.schema.names])
        self._bytes += batch.nbytes
        self._spool.append(batch)

    def close(self) -> None:
        """Everything is there. To be called before several threads read it."""
        self._spool.close()

    def sorted(self, to_reverse: bool, ends: tuple[End, End]) -> Iterator[SortedPiece]:
        """All edges in order, in pieces. to_reverse: with source and target exchanged. ends: those of the edge type
        that is made, source first."""
        names = ENDS[::-1] if to_reverse else ENDS
        if not self._spool.on_disk:
            yield from _sort(list(self._spool), names, ends)
            return
        splitters = self._splitters(names, ends)
        folder = self._path.with_suffix(".reverse" if to_reverse else ".forward")
        ranges = Buckets(folder, len(splitters) + 1, memory=self._memory // _WORKING)
        for batch in self._spool:
            source, target = _positions(batch, names, ends)
            of_row = np.searchsorted(splitters, _key(source, target, ends), side="right").astype(np.uint8)
            ranges.add(of_row, batch)
        ranges.close()
        for number in range(ranges.count):
            yield from _sort(list(ranges.read(number)), names, ends)
        ranges.delete()

    def delete(self) -> None:
        """Free memory and disk."""
        self._spool.delete()

    def _splitters(self, names: tuple[str, ...], ends: tuple[End, End]) -> np.ndarray:
        """uint64: keys between ranges of about equally many edges."""
        count = min(_MAX_RANGES, 2 + self._bytes * _WORKING // max(self._memory, 1))
        whole = np.concatenate(self._sample, axis=1)
        by_name = dict(zip(ENDS, whole, strict=True))
        source, target = (end.positions(by_name[name]) for name, end in zip(names, ends, strict=True))
        keys = np.sort(_key(source, target, ends))
        at = np.linspace(0, len(keys), count + 1)[1:-1].astype(np.int64)
        return np.unique(keys[at])


@dataclass(frozen=True, slots=True)
class End:
    """The node type at one end of an edge type."""

    count: int
    """Nodes"""
    positions: Positions


@dataclass(frozen=True, slots=True)
class SortedPiece:
    """Consecutive edges of the sorted type, at least one."""

    source: np.ndarray
    target: np.ndarray
    attributes: Columns


class Pointers:
    """Index pointers int64 (targets + 1) from sorted targets that come in pieces, and the number of repeated edges."""

    def __init__(self, num_targets: int) -> None:
        self._num_targets = num_targets
        self._edges = self._next = 0
        self._last: tuple[int, int] | None = None
        self.repeated = 0
        """Edges with the same two ends as the one before"""

    def add(self, piece: SortedPiece) -> Iterator[np.ndarray]:
        """The pointers that are known with the next edges."""
        first = (int(piece.source[0]), int(piece.target[0]))
        same = (piece.source[1:] == piece.source[:-1]) & (piece.target[1:] == piece.target[:-1])
        self.repeated += int(np.count_nonzero(same)) + (first == self._last)
        self._last = (int(piece.source[-1]), int(piece.target[-1]))
        for start, end in _ranges(self._next, int(piece.target[-1]) + 1):
            targets = np.arange(start, end, dtype=piece.target.dtype)
            yield self._edges + np.searchsorted(piece.target, targets).astype(np.int64)
        self._next = max(self._next, int(piece.target[-1]) + 1)
        self._edges += len(piece.target)

    def finish(self) -> Iterator[np.ndarray]:
        """Those of the targets after the last edge, and the end."""
        for start, end in _ranges(self._next, self._num_targets + 1):
            yield np.full(end - start, self._edges, np.int64)


def _ranges(start: int, end: int) -> Iterator[tuple[int, int]]:
    for at in range(start, end, _ROWS):
        yield at, min(at + _ROWS, end)


def _key(source: np.ndarray, target: np.ndarray, ends: tuple[End, End]) -> np.ndarray:
    """uint64: the upper 64 bits of (target, source)."""
    source_bits, target_bits = (position_bits(end.count) for end in ends)
    unseen = max(source_bits + target_bits - 64, 0)
    return pair_keys(source >> unseen if unseen else source, target, source_bits - unseen)


def _positions(
    batch: pa.RecordBatch | pa.Table, names: tuple[str, ...], ends: tuple[End, End]
) -> tuple[np.ndarray, np.ndarray]:
    source, target = (end.positions(batch.column(name).to_numpy()) for name, end in zip(names, ends, strict=True))
    return source, target


def _sort(batches: list[pa.RecordBatch], names: tuple[str, ...], ends: tuple[End, End]) -> Iterator[SortedPiece]:
    """All edges of some batches."""
    batches = [batch for batch in batches if batch.num_rows]
    if not batches:
        return
    source_bits, target_bits = (position_bits(end.count) for end in ends)
    if source_bits + target_bits > 64:
        yield from _sort_large(batches, names, ends)
        return
    dtype = position_dtype(*(end.count for end in ends))
    attributes = _attributes(batches)
    keys = np.empty(sum(batch.num_rows for batch in batches), np.uint64)
    start = 0
    for batch in batches:
        keys[start : start + batch.num_rows] = pair_keys(*_positions(batch, names, ends), source_bits)
        start += batch.num_rows
    del batches
    if attributes:
        order = sort_keys(keys, source_bits + target_bits)
    else:
        sort_only_keys(keys, source_bits + target_bits)
    for start, end in _ranges(0, len(keys)):
        taken = _taken(attributes, order[start:end]) if attributes else {}
        yield SortedPiece(*ends_of_keys(keys[start:end], source_bits, dtype), taken)


def _sort_large(batches: list[pa.RecordBatch], names: tuple[str, ...], ends: tuple[End, End]) -> Iterator[SortedPiece]:
    """Between more nodes than 64 bits can tell apart."""
    parts = [_positions(batch, names, ends) for batch in batches]
    source, target = (np.concatenate(part) for part in zip(*parts, strict=True))
    order, source, target = sorted_ends(source, target, *(end.count for end in ends))
    attributes = _attributes(batches)
    for start, end in _ranges(0, len(order)):
        yield SortedPiece(source[start:end], target[start:end], _taken(attributes, order[start:end]))


def _attributes(batches: list[pa.RecordBatch]) -> dict[str, pa.Array | pa.ChunkedArray]:
    """All columns but the ends, each in one piece if it fits."""
    table = pa.Table.from_batches(batches)
    return {name: table.column(name).combine_chunks() for name in table.schema.names if name not in ENDS}


def _taken(attributes: dict[str, pa.Array | pa.ChunkedArray], rows: np.ndarray) -> Columns:
    at = pa.array(rows)
    return {name: _one_chunk(column.take(at)) for name, column in attributes.items()}


def _one_chunk(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
