"""Ids of node tables: checked, numbered, and kept by hash in buckets, where edges find them.

    pieces --ids--> buckets: repeated ids     --rows to leave out--> pieces
    pieces --ids and positions--> buckets: the index

Every id of a node type is in the bucket that its hash names, so that no process needs all ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct import rules
from gconstruct.engines.arrow.ids import dropped_rows, null_mask
from gconstruct.engines.spark.blobs import IDS, INDEX, LEFT_OUT, ORDER, POSITIONS, ROWS, joined, pack, split, unpack
from gconstruct.engines.spark.cluster import LAST, Pair, in_order
from gconstruct.engines.spark.pieces import WorkTable
from gconstruct.engines.spark.report import Report
from gconstruct.hashing import hash_strings
from gconstruct.problems import Problems
from gconstruct.report.trace import KEPT_EXAMPLES
from gconstruct.tables.table import Table
from gconstruct.values import all_integers

_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Buckets:
    """The receivers of one node type's ids."""

    first: int
    count: int

    def of(self, ids: pa.Array) -> np.ndarray:
        """int64 (n): the bucket of each id."""
        if pa.types.is_integer(ids.type):
            hashes = ids.to_numpy(zero_copy_only=False).astype(np.int64).view(np.uint64) * _MIX >> np.uint64(32)
        else:
            hashes = hash_strings(ids)
        buckets: np.ndarray = (hashes % np.uint64(self.count)).astype(np.int64) + self.first
        return buckets


@dataclass(frozen=True, slots=True)
class NodeIdStages:
    """The stages of one node table's ids."""

    table: WorkTable
    key: str
    """'nodes.item': of the trace"""
    column: str
    skip: bool
    """Leave out rows with a null or repeated id."""
    buckets: Buckets

    def send_ids(self, piece: int, _: Iterator[Pair]) -> Iterator[Pair]:
        """(bucket, INDEX, piece) -> id and row of all rows that have an id. Nulls are reported."""
        report = Report()
        table = self.table.read(piece, report.problems, [self.column])
        if table is not None:
            ids = table.column(self.column)
            report.counts["rows"] = len(ids)
            if table.untyped(self.column):
                report.counts["not integers"] = int(not all_integers(ids))
            rows = np.arange(len(ids))
            null = np.flatnonzero(null_mask(ids)) if ids.null_count else rows[:0]
            if null.size:
                self._note_nulls(table, null, report)
                rows = np.delete(rows, null)
                ids = ids.drop_null()
            report.by_piece[piece] = len(ids)
            batch = pa.record_batch([ids, pa.array(rows)], names=[IDS, ROWS])
            for bucket, part in split(batch, self.buckets.of(ids)):
                yield (bucket, INDEX, piece), pack(part)
        yield (LAST, INDEX, piece), report

    def _note_nulls(self, table: Table, null: np.ndarray, report: Report) -> None:
        if self.skip:
            dropped = dropped_rows(table, null, (self.column,))
            report.trace.dropped(self.key, "null id", dropped.count, dropped.examples)
        else:
            report.problems.add(rules.null_ids(table, table.key, self.column, null))

    def find_repeated(self, bucket: int, incoming: Iterator[Pair]) -> Iterator[Pair]:
        """(piece, LEFT_OUT, bucket) -> rows whose id an earlier row has. Notes: (piece, row, piece and row that had the
        id first, id) of the first few of them."""
        report = Report()
        pairs = [(key, unpack(blob)) for key, blob in in_order(incoming) if key[0] != LAST]
        if pairs:
            whole = joined([batch for _, batch in pairs])
            pieces = np.repeat([key[2] for key, _ in pairs], [batch.num_rows for _, batch in pairs])
            repeated, firsts = repeated_rows(whole.column(IDS))
            rows = whole.column(ROWS).to_numpy()
            report.counts["repeated"] = len(repeated)
            for at, first in zip(repeated[:KEPT_EXAMPLES].tolist(), firsts[:KEPT_EXAMPLES].tolist(), strict=True):
                places = (int(pieces[at]), int(rows[at]), int(pieces[first]), int(rows[first]))
                report.notes.append((*places, whole.column(IDS)[at].as_py()))
            if self.skip and repeated.size:
                batch = pa.record_batch([pa.array(rows[repeated])], names=[ROWS])
                for piece, part in split(batch, pieces[repeated]):
                    report.counts["left out", piece] = part.num_rows
                    yield (piece, LEFT_OUT, bucket), pack(part)
        yield (LAST, bucket), report

    def places(self, rows: Sequence[tuple[int, int]], _: int, __: Iterator[Pair]) -> Iterator[Pair]:
        """(number,) -> file and row (from 1) of the n-th (piece, row)"""
        for number, (piece, row) in enumerate(rows):
            table = self.table.read(piece, Problems(), [self.column])
            assert table is not None, "it was read before"
            yield (number,), table.place(row)

    def kept(self, table: Table, incoming: Iterable[Pair]) -> Table:
        """A piece without rows that have no id, or that a bucket found to be repeated."""
        keep = ~null_mask(table.column(self.column))
        for key, blob in incoming:
            if key[1] == LEFT_OUT:
                keep[unpack(blob).column(ROWS).to_numpy()] = False
        return table if keep.all() else table.keep(keep)


def indexed(ids: pa.Array, positions: np.ndarray, order: np.ndarray, buckets: Buckets, piece: int) -> Iterator[Pair]:
    """(bucket, INDEX, piece) -> ids with their numbers"""
    batch = pa.record_batch([ids, pa.array(positions), pa.array(order)], names=[IDS, POSITIONS, ORDER])
    for bucket, part in split(batch, buckets.of(ids)):
        yield (bucket, INDEX, piece), pack(part)


def repeated_rows(ids: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Rows with the id of an earlier row, and that row."""
    encoded = ids.dictionary_encode()
    if len(encoded.dictionary) == len(ids):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    first = np.empty(len(encoded.dictionary), np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    repeated = np.flatnonzero(first[codes] != np.arange(len(codes)))
    return repeated, first[codes[repeated]]


def look_up(ids: pa.Array, index: pa.Array) -> np.ndarray:
    """int64 (n): rows in `index`, -1 where it lacks the id."""
    rows: np.ndarray = pc.fill_null(pc.index_in(ids, value_set=index), -1).to_numpy(zero_copy_only=False)
    return rows.astype(np.int64)
