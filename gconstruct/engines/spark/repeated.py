"""Edges with both ends of an earlier edge: found in buckets by hashes of both ids.

pieces --both ids--> buckets: repeated edges     --rows to leave out--> pieces
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from gconstruct.encoding.splits import hashed_ids
from gconstruct.engines.spark.blobs import IDS, REPEATED, ROWS, joined, pack, split, unpack
from gconstruct.engines.spark.cluster import LAST, Pair, in_order
from gconstruct.engines.spark.edges import EdgeStages
from gconstruct.engines.spark.ids import Buckets, repeated_rows
from gconstruct.engines.spark.report import Report
from gconstruct.report.trace import KEPT_EXAMPLES
from gconstruct.tables.table import Table


@dataclass(frozen=True, slots=True)
class RepeatedEdges:
    """The stages of one edge table. Rows are numbered within the edges of a piece that stay otherwise."""

    edges: EdgeStages

    def send(self, buckets: int, piece: int, incoming: Iterator[Pair]) -> Iterator[Pair]:
        """(bucket, piece) -> both ids as one string, and rows."""
        known = self._known(piece, incoming)
        if known is not None:
            ids = hashed_ids(known, self.edges.ends.config)
            batch = pa.record_batch([ids, pa.array(np.arange(len(ids)))], names=[IDS, ROWS])
            for bucket, part in split(batch, Buckets(0, buckets).of(ids)):
                yield (bucket, piece), pack(part)

    def _known(self, piece: int, incoming: Iterator[Pair]) -> Table | None:
        if piece == self.edges.ends.table.pieces:  # the receiver of reports
            return None
        known = self.edges.known(piece, incoming, Report())
        return None if known is None else known.table

    def find(self, bucket: int, incoming: Iterator[Pair]) -> Iterator[Pair]:
        """(piece, REPEATED, bucket) -> rows that an earlier edge repeats. Notes: (piece, row) of the first of them."""
        report = Report()
        pairs = [(key, unpack(blob)) for key, blob in in_order(incoming)]
        if pairs:
            whole = joined([batch for _, batch in pairs])
            pieces = np.repeat([key[1] for key, _ in pairs], [batch.num_rows for _, batch in pairs])
            repeated, _ = repeated_rows(whole.column(IDS))
            rows = whole.column(ROWS).to_numpy()[repeated]
            report.counts["repeated"] = len(repeated)
            first = slice(0, KEPT_EXAMPLES)
            report.notes = list(zip(pieces[repeated][first].tolist(), rows[first].tolist(), strict=True))
            for piece, part in split(pa.record_batch([pa.array(rows)], names=[ROWS]), pieces[repeated]):
                yield (piece, REPEATED, bucket), pack(part)
        yield (LAST, bucket), report

    def examples(self, wanted: Sequence[tuple[int, int]], piece: int, incoming: Iterator[Pair]) -> Iterator[Pair]:
        """(piece, row) -> file and row, and both ids, of the wanted rows of this piece."""
        rows = [row for of_piece, row in wanted if of_piece == piece]
        known = self._known(piece, incoming) if rows else None
        if known is not None:
            config = self.edges.ends.config
            source, target = known.column(config.source_id), known.column(config.target_id)
            for row in rows:
                yield (piece, row), (known.place(row), (source[row].as_py(), target[row].as_py()))
