"""Partitions of nodes, by the methods that look at no edge.

    random, by position   one task: the partitions of all nodes of a type --> pieces
    by a value, hash      pieces: each its own nodes
    by all values, range  pieces --values--> one task --> pieces

One task needs 4 bytes per node of the type to keep, and what the method takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from gconstruct.engines.spark.blobs import PARTS, by_order, pack, slices
from gconstruct.engines.spark.cluster import LAST, Cluster, Pair
from gconstruct.engines.spark.nodes import NodeRows
from gconstruct.engines.spark.report import Report
from gconstruct.partitioners.base import PARTITIONERS
from gconstruct.partitioners.columns import ColumnPartitioner, column_of, positions_only, values_of
from gconstruct.partitioners.random import RandomPartitioner, at_random
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.partitioners import POSITION, PartitionsConfig
from graphstorm_like.graph.schema import NodeTypeSchema

if TYPE_CHECKING:
    from gconstruct.engines.spark.cluster import Rows

_VALUES = "value"


def is_of_rows(config: PartitionsConfig) -> bool:
    """Whether executors can do it: the method looks at no edge."""
    return issubclass(PARTITIONERS.of(config), RandomPartitioner | ColumnPartitioner)


def assign(
    cluster: Cluster, config: GraphConfig, name: str, schema: NodeTypeSchema, rows: NodeRows, told: Rows
) -> tuple[Rows, np.ndarray]:
    """The partitions of the nodes of a type, sent to its pieces, and how many of each piece are in each, int64 (pieces,
    partitions). rows: in the order of the table. told: what its pieces know of their rows."""
    count, method = config.partitions.count, PARTITIONERS.of(config.partitions)(config.partitions)
    of_pieces, by_piece = rows.numbering.rows, partial(_by_piece, count)
    if not isinstance(method, ColumnPartitioner):
        counts = {other: sum(of_pieces) if other == name else 0 for other in config.nodes}
        draw = partial(_drawn, counts, name, config.partitions)
        pairs = cluster.over(1, InOneTask(of_pieces, count, draw).send)
    else:
        column = column_of(name, schema, method.by, method.default)
        stages = OfValues(rows, column, method)
        if column == POSITION:
            ordered = partial(_in_order, method, sum(of_pieces))
            pairs = cluster.over(1, InOneTask(of_pieces, count, ordered).send)
        elif method.needs_all_rows:
            values = cluster.send(cluster.run(told, stages.values), 1)
            pairs = cluster.run(values, partial(stages.whole, by_piece))
        else:
            pairs = cluster.run(told, partial(stages.parts, by_piece))
    sent = cluster.send(pairs, len(of_pieces))
    report = cluster.report(sent)
    report.problems.raise_if_any()
    by_partition = np.zeros((len(of_pieces), count), np.int64)
    for piece, of_piece in report.notes:
        by_partition[piece] = of_piece
    return sent, by_partition


def _by_piece(count: int, piece: int, parts: np.ndarray, report: Report) -> Iterator[Pair]:
    """(piece, PARTS, slice) -> partitions of its nodes. Notes: (piece, nodes in each partition)."""
    report.notes.append((piece, np.bincount(parts, minlength=count)))
    batch = pa.record_batch([pa.array(parts)], names=["partition"])
    for number, part in enumerate(slices(batch)):
        yield (piece, PARTS, number), pack(part)


def _drawn(counts: dict[str, int], name: str, config: Any) -> np.ndarray:
    return at_random(counts, config.count, config.seed)[name]


def _in_order(method: ColumnPartitioner[Any], nodes: int) -> np.ndarray:
    return method.parts(positions_only(nodes))


@dataclass(frozen=True, slots=True)
class InOneTask:
    """Partitions that need no value of the nodes."""

    rows: Sequence[int]
    count: int
    make: Callable[[], np.ndarray]

    def send(self, _: int, __: Iterator[Pair]) -> Iterator[Pair]:
        """To all pieces, see _by_piece."""
        report = Report()
        parts = np.split(self.make(), np.cumsum(self.rows)[:-1])
        for piece, of_piece in enumerate(parts):
            yield from _by_piece(self.count, piece, of_piece, report)
        yield (LAST, 0), report


@dataclass(frozen=True, slots=True)
class OfValues:
    """Partitions that follow from a column of the nodes."""

    rows: NodeRows
    column: str
    method: ColumnPartitioner[Any]

    def parts(self, by_piece: Any, piece: int, incoming: Iterator[Pair]) -> Iterator[Pair]:
        """Of the nodes of a piece, see _by_piece."""
        report = Report()
        values = self._values(piece, incoming, report)
        if values is not None:
            yield from by_piece(piece, self.method.parts(pa.chunked_array([values])), report)
        yield (LAST, piece), report

    def values(self, piece: int, incoming: Iterator[Pair]) -> Iterator[Pair]:
        """(0, piece, slice) -> the values of a piece."""
        report = Report()
        values = self._values(piece, incoming, report)
        if values is not None:
            for number, part in enumerate(slices(pa.record_batch([values], names=[_VALUES]))):
                yield (0, piece, number), pack(part)
        yield (LAST, piece), report

    def whole(self, by_piece: Any, number: int, incoming: Iterator[Pair]) -> Iterator[Pair]:
        """The values of all pieces -> their partitions, see _by_piece."""
        if number:  # the receiver of reports
            yield from incoming
            return
        report = Report()
        values = [batch.column(_VALUES) for batch in by_order(incoming)]
        if sum(map(len, values)) == self.rows.numbering.count:  # else a piece has reported a problem
            parts = self.method.parts(pa.chunked_array(values))
            for piece, of_piece in enumerate(np.split(parts, np.cumsum(self.rows.numbering.rows)[:-1])):
                yield from by_piece(piece, of_piece, report)
        yield (LAST, LAST), report

    def _values(self, piece: int, incoming: Iterator[Pair], report: Report) -> pa.Array | None:
        if piece == len(self.rows.numbering.rows):  # the receiver of reports
            return None
        batch = self.rows.only(self.column).batch(piece, list(incoming), report)
        return None if batch is None else values_of(batch, self.column)
