"""Edge tables: statistics of their pieces, and their rows on the way to the partitions' files.

    pieces --statistics--> one state     pieces --rows--> partitions, by ranges of targets

Every partition of an edge type holds the edges into its nodes. The reverse edges are sent at the same time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from gconstruct.csc import position_dtype
from gconstruct.encoding import Encoded, TableState
from gconstruct.encoding.splits import hashed_ids
from gconstruct.engines.spark.blobs import ORDER, REPEATED, ROWS, SOURCE, TARGET, batch_of, pack, slices, split, unpack
from gconstruct.engines.spark.cluster import LAST, Pair
from gconstruct.engines.spark.ends import EndStages
from gconstruct.engines.spark.negatives import answered
from gconstruct.engines.spark.nodes import Fitting
from gconstruct.engines.spark.numbering import Numbering
from gconstruct.engines.spark.report import Report
from gconstruct.tables.table import Table
from graphstorm_like.graph.schema import HARD_NEGATIVES_COLUMN, SOURCE_COLUMN, TARGET_COLUMN

RANGE_ROWS = 1_000_000
"""About the edges of a range of targets, which one task sorts at a time"""


@dataclass(slots=True)
class KnownEdges:
    """Edges of a piece whose ends both have numbers."""

    table: Table
    positions: tuple[np.ndarray, np.ndarray]
    """int64 (rows), of sources and of targets"""
    order: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True)
class EdgeStages:
    """The stages of one edge table after its ends were found."""

    ends: EndStages
    fitting: Fitting
    columns: tuple[str, ...] | None = None
    """Those of the table that are read; None: all"""

    def fit(self, piece: int, incoming: Iterator[Pair]) -> Iterator[Pair]:
        """(piece,) -> statistics"""
        if piece == self.ends.table.pieces:  # the receiver of reports
            return
        report = Report()
        known = self.known(piece, incoming, report)
        if known is not None:
            yield (piece,), self.fitting.encoder.fit(known.table, report.problems)
        yield (LAST, piece), report

    def known(self, piece: int, incoming: Iterable[Pair], report: Report) -> KnownEdges | None:
        """The edges of a piece that stay; incoming: what the buckets answered. None: the report says what is wrong."""
        table = self.ends.table.read(piece, report.problems, self.columns)
        if table is None:
            return None
        for name in table.data.schema.names:
            report.trace.nulls(self.ends.key, name, table.column(name).null_count)
        sent = list(incoming)
        ends = self.ends.with_ends(table)
        found = self.ends.found(ends, sent)
        keep = self.ends.known(ends, found)
        kept = np.flatnonzero(keep)
        for key, blob in sent:
            if key[1] == REPEATED:
                keep[kept[unpack(blob).column(ROWS).to_numpy()]] = False
        codes = ends.codes if keep.all() else (ends.codes[SOURCE][keep], ends.codes[TARGET][keep])
        return KnownEdges(
            ends.table if keep.all() else ends.table.keep(keep),
            (found[SOURCE].positions[codes[SOURCE]], found[TARGET].positions[codes[TARGET]]),
            (found[SOURCE].order[codes[SOURCE]], found[TARGET].order[codes[TARGET]]),
        )


@dataclass(frozen=True, slots=True)
class EdgeRows:
    """The edges of a type on the way to its files, and to those of its reverse."""

    stages: EdgeStages
    state: TableState
    numberings: tuple[Numbering, Numbering]
    """Of sources and of targets"""
    directions: int
    """2 with a reverse type"""
    rows: int
    """Of the table"""
    has_negatives: bool = False
    """Whether hard negatives were asked for."""

    @property
    def partitions(self) -> int:
        """Of the graph"""
        return self.numberings[SOURCE].partitions

    @property
    def ranges(self) -> int:
        """Of targets, in each partition"""
        return max(1, self.rows // self.partitions // RANGE_ROWS)

    def send(self, piece: int, incoming: Iterator[Pair]) -> Iterator[Pair]:
        """(direction * partitions + partition, range, piece, slice) -> rows with the order of their sources."""
        if piece == self.stages.ends.table.pieces:  # the receiver of reports
            return
        report, sent = Report(), list(incoming)
        known = self.stages.known(piece, sent, report)
        if known is not None:
            yield from self._send_known(piece, known, sent, report)
        yield (LAST, piece), report

    def _send_known(self, piece: int, known: KnownEdges, sent: list[Pair], report: Report) -> Iterator[Pair]:
        table, config = known.table, self.stages.ends.config
        encoder = self.stages.fitting.encoder
        encoded = encoder.apply(table, self.state, lambda: hashed_ids(table, config), report.problems)
        if encoded is None:
            return
        report.encoded.count(encoded)
        report.by_piece[piece] = len(table)
        dtype = position_dtype(*(numbering.count for numbering in self.numberings))
        negatives = self._negatives(encoded, sent, report)
        for direction in range(self.directions):
            source, target = (SOURCE, TARGET) if direction == 0 else (TARGET, SOURCE)
            batch = batch_of(
                {
                    SOURCE_COLUMN: known.positions[source].astype(dtype),
                    TARGET_COLUMN: known.positions[target].astype(dtype),
                    ORDER: known.order[source],
                    **encoded.columns,
                    **(negatives if direction == 0 else {}),
                }
            )
            first = direction * self.partitions
            if piece == 0:  # so that files without a row have columns too
                for partition in range(self.partitions):
                    yield (first + partition, 0, -1, 0), pack(batch.slice(0, 0))
            for number, rows in split(batch, self._ranges_of(known.positions[target], self.numberings[target])):
                partition, of_range = divmod(number, self.ranges)
                for part, blob in enumerate(slices(rows)):
                    yield (first + partition, of_range, piece, part), pack(blob)

    def _negatives(self, encoded: Encoded, sent: list[Pair], report: Report) -> dict[str, np.ndarray]:
        """Their positions, which reverse edges do not have. Notes: ids that no node has, one a piece."""
        if not self.has_negatives:
            return {}
        known = answered(sent, self.numberings[TARGET].count)
        config = self.stages.ends.config
        positions, unknown, example = known.positions(encoded.columns.pop(HARD_NEGATIVES_COLUMN), config)
        report.counts["unknown negatives"] = unknown
        report.counts["with negatives"] = int(np.count_nonzero((positions >= 0).any(axis=1)))
        if example is not None:
            report.notes.append(example)
        return {HARD_NEGATIVES_COLUMN: positions}

    def _ranges_of(self, positions: np.ndarray, numbering: Numbering) -> np.ndarray:
        """int64 (n): partition * ranges + range of each target."""
        partitions = numbering.partition_of(positions)
        starts = np.array(numbering.partition_starts)
        sizes = np.maximum(np.diff(starts), 1)
        within = (positions - starts[partitions]) * self.ranges // sizes[partitions]
        numbers: np.ndarray = partitions * self.ranges + within
        return numbers
