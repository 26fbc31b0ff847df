"""Ends of edges -> node positions: each piece asks the buckets of both node types for its different ids.

    pieces --different ids--> buckets of the index --positions--> pieces

A bucket answers in the order in which it was asked, so that no id travels back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from gconstruct import rules
from gconstruct.engines.arrow.ids import dropped_rows, null_mask
from gconstruct.engines.spark.blobs import (
    IDS,
    INDEX,
    ORDER,
    POSITIONS,
    REQUEST,
    ROWS,
    SOURCE,
    TARGET,
    joined,
    pack,
    split,
    unpack,
)
from gconstruct.engines.spark.cluster import LAST, Pair
from gconstruct.engines.spark.ids import Buckets, look_up
from gconstruct.engines.spark.pieces import WorkTable
from gconstruct.engines.spark.report import Report
from gconstruct.problems import EXAMPLES, Problems
from gconstruct.tables.table import Table
from graphstorm_like.config.graph import EdgeConfig

_ASKED_AT_ONCE = 4_000_000
"""Ids that a bucket looks up together: its hash table is made anew for each time."""


@dataclass(slots=True)
class PieceEnds:
    """The ends of a piece's edges, which all have ids."""

    table: Table
    """The piece without rows that lack an end"""
    codes: tuple[np.ndarray, np.ndarray]
    """int (rows), of sources and of targets: positions in `uniques`"""
    uniques: tuple[pa.Array, pa.Array]


@dataclass(slots=True)
class Found:
    """Positions and order (see ids) of the different ids of one side; -1 where there is no such node."""

    positions: np.ndarray
    order: np.ndarray


@dataclass(frozen=True, slots=True)
class EndStages:
    """The stages of one edge table's ends."""

    table: WorkTable
    config: EdgeConfig
    key: str
    """'edges.user:buys:item': of the trace"""
    buckets: tuple[Buckets, Buckets]
    may_create: tuple[bool, bool]
    """Whether ids that are not in the node table become nodes"""
    in_table: tuple[int, int]
    """Nodes of both tables: those that other edges add come after them"""

    @property
    def columns(self) -> list[str]:
        """Columns of the ends; one when both are the same"""
        return list(dict.fromkeys((self.config.source_id, self.config.target_id)))

    def ask(self, piece: int, _: Iterator[Pair]) -> Iterator[Pair]:
        """(bucket, request, piece, side) -> different ids. Rows, and those without an end, are reported."""
        report = Report()
        table = self.table.read(piece, report.problems, self.columns)
        if table is not None:
            report.counts["rows"] = len(table)
            report.counts["unknown relation"] = table.unknown_relations
            ends = self.with_ends(table, report)
            report.by_piece[piece] = len(ends.table)
            for side, uniques in enumerate(ends.uniques):
                batch = pa.record_batch([uniques], names=[IDS])
                for bucket, part in split(batch, self.buckets[side].of(uniques)):
                    yield (bucket, REQUEST, piece, side), pack(part)
        yield (LAST, REQUEST, piece), report

    def with_ends(self, table: Table, report: Report | None = None) -> PieceEnds:
        """Leave out rows without an end, and tell the report."""
        bad = np.zeros(len(table), bool)
        for column in self.columns:
            values = table.column(column)
            if values.null_count:
                null = null_mask(values)
                bad |= null
                if report is not None and self.config.on_bad_id == "error":
                    report.problems.add(rules.null_ends(table, table.key, column, np.flatnonzero(null)))
        if bad.any():
            if report is not None:
                self._drop(table, np.flatnonzero(bad), "null end", report)
            table = table.keep(~bad)
        encoded = [table.column(c).dictionary_encode() for c in (self.config.source_id, self.config.target_id)]
        source, target = (e.indices.to_numpy(zero_copy_only=False) for e in encoded)
        return PieceEnds(table, (source, target), (encoded[0].dictionary, encoded[1].dictionary))

    def _drop(self, table: Table, rows: np.ndarray, reason: str, report: Report) -> None:
        dropped = dropped_rows(table, rows, self.columns)
        report.counts[reason] += dropped.count
        report.trace.dropped(self.key, reason, dropped.count, dropped.examples)

    def answer(
        self, starts: tuple[Sequence[int], Sequence[int]], bucket: int, incoming: Iterator[Pair]
    ) -> Iterator[Pair]:
        """(piece, side, bucket) -> positions of the ids that were asked for. Ids that are missing are reported.

        starts: of both node types, nodes before each piece, for ids that come with their rows only."""
        index: list[pa.RecordBatch] = []
        waiting: list[tuple[int, int, pa.Array]] = []
        missing: tuple[list[pa.Array], list[pa.Array]] = ([], [])
        asked = 0
        for (to, kind, *rest), blob in incoming:
            if to == LAST:  # a report of `ask`, which has been heard
                continue
            batch = unpack(blob)
            if kind == INDEX:
                assert not waiting, "the index comes first"
                index.append(numbered(batch, starts[self._side_of(bucket)], rest[0]))
                continue
            waiting.append((rest[0], rest[1], batch.column(IDS)))
            asked += batch.num_rows
            if asked > _ASKED_AT_ONCE:
                yield from self._answers(bucket, index, waiting, missing)
                waiting, asked = [], 0
        yield from self._answers(bucket, index, waiting, missing)
        report = Report()
        for side, arrays in enumerate(missing):
            if arrays:
                report.counts["missing", side] = len(pa.concat_arrays(arrays).unique())
        yield (LAST, bucket), report

    def _answers(
        self,
        bucket: int,
        index: list[pa.RecordBatch],
        requests: list[tuple[int, int, pa.Array]],
        missing: tuple[list[pa.Array], list[pa.Array]],
    ) -> Iterator[Pair]:
        if not requests:
            return
        ids = pa.concat_arrays([asked for _, _, asked in requests])
        found, start = in_index(ids, index), 0
        for piece, side, asked in requests:
            rows = slice(start, start + len(asked))
            positions = found.positions[rows]
            absent = np.flatnonzero(positions < 0)
            if absent.size:
                missing[side].append(asked.take(pa.array(absent)))
            columns = [pa.array(positions), pa.array(found.order[rows])]
            yield (piece, side, bucket), pack(pa.record_batch(columns, names=[POSITIONS, ORDER]))
            start += len(asked)

    def _side_of(self, bucket: int) -> int:
        """A side whose node type has its ids in the bucket."""
        first, count = self.buckets[SOURCE].first, self.buckets[SOURCE].count
        return SOURCE if first <= bucket < first + count else TARGET

    def found(self, ends: PieceEnds, answers: Iterable[Pair]) -> tuple[Found, Found]:
        """What the buckets answered, for the different ids of both sides."""
        by_place = {(key[1], key[2]): blob for key, blob in answers}
        sides = []
        for side, uniques in enumerate(ends.uniques):
            found = Found(np.empty(len(uniques), np.int64), np.empty(len(uniques), np.int64))
            buckets = self.buckets[side].of(uniques)
            for bucket in np.unique(buckets).tolist():
                batch, rows = unpack(by_place[side, bucket]), np.flatnonzero(buckets == bucket)
                found.positions[rows] = batch.column(POSITIONS).to_numpy()
                found.order[rows] = batch.column(ORDER).to_numpy()
            sides.append(found)
        return sides[0], sides[1]

    def known(self, ends: PieceEnds, found: Sequence[Found]) -> np.ndarray:
        """bool (rows): edges that stay: their ends are in the node tables, or become nodes."""
        keep = np.ones(len(ends.table), bool)
        for side, of_side in enumerate(found):
            if not self.may_create[side]:
                order = of_side.order[ends.codes[side]]
                keep &= (order >= 0) & (order < self.in_table[side])
        return keep

    def check(self, piece: int, incoming: Iterator[Pair]) -> Iterator[Pair]:
        """(bucket, piece, side) -> ids that become nodes. Edges with unknown ends are reported: notes hold (side,
        file, row, value), the first rows with different ids."""
        if piece == self.table.pieces:  # the receiver of reports
            return
        report = Report()
        table = self.table.read(piece, Problems(), self.columns)
        assert table is not None, "it was read before"
        ends = self.with_ends(table)
        found = self.found(ends, incoming)
        for side, of_side in enumerate(found):
            if not self.may_create[side]:
                self._note_unknown(ends, side, of_side, report)
        keep = self.known(ends, found)
        if not keep.all():
            self._drop(ends.table, np.flatnonzero(~keep), "unknown node", report)
        report.by_piece[piece] = int(np.count_nonzero(keep))
        for side, of_side in enumerate(found):
            if self.may_create[side]:
                used = np.unique(ends.codes[side][keep])
                new = used[of_side.positions[used] < 0]
                ids = ends.uniques[side].take(pa.array(new))
                for bucket, part in split(pa.record_batch([ids], names=[IDS]), self.buckets[side].of(ids)):
                    yield (bucket, piece, side), pack(part)
        yield (LAST, piece), report

    def _note_unknown(self, ends: PieceEnds, side: int, found: Found, report: Report) -> None:
        codes = ends.codes[side]
        rows = np.flatnonzero(found.positions[codes] < 0)
        if not rows.size:
            return
        report.counts["unknown", side] = len(rows)
        firsts = np.sort(np.unique(codes[rows], return_index=True)[1])[:EXAMPLES]
        for row in rows[firsts].tolist():
            report.notes.append((side, *ends.table.place(row), ends.uniques[side][int(codes[row])].as_py()))


def in_index(ids: pa.Array, index: list[pa.RecordBatch]) -> Found:
    """What the parts of a bucket's index know of some ids."""
    if not index:
        return Found(np.full(len(ids), -1, np.int64), np.full(len(ids), -1, np.int64))
    whole = joined(index)
    rows = look_up(ids, whole.column(IDS))
    positions, order = (np.append(whole.column(name).to_numpy(), -1) for name in (POSITIONS, ORDER))
    return Found(positions[rows], order[rows])


def numbered(batch: pa.RecordBatch, starts: Sequence[int], piece: int) -> pa.RecordBatch:
    """Ids with their numbers: those of rows of a piece follow from the nodes before it."""
    if POSITIONS in batch.schema.names:
        return batch
    positions = pa.array(batch.column(ROWS).to_numpy() + starts[piece])
    return pa.record_batch([batch.column(IDS), positions, positions], names=[IDS, POSITIONS, ORDER])
