"""Node tables: statistics of their pieces, and their rows on the way to the partitions' files.

pieces --statistics--> one state     pieces --rows--> partitions
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.attributes import empty_rows
from gconstruct.encoding import TableEncoder, TableState
from gconstruct.encoding.table import Statistics
from gconstruct.engines.spark.blobs import CREATED, IDS, Columns, batch_of, by_order, joined, pack, slices, split
from gconstruct.engines.spark.cluster import LAST, Pair
from gconstruct.engines.spark.degrees import DegreeColumns
from gconstruct.engines.spark.ids import Buckets, NodeIdStages, indexed
from gconstruct.engines.spark.numbering import Numbering
from gconstruct.engines.spark.pieces import WorkTable
from gconstruct.engines.spark.report import Report
from gconstruct.problems import Problems
from gconstruct.tables.needs import edge_needs, node_needs
from gconstruct.tables.table import Table
from graphstorm_like.config.graph import EdgeConfig, NodeConfig
from graphstorm_like.graph.schema import ID_COLUMN, feature_column, label_column, text_column


@dataclass(frozen=True, slots=True)
class Fitting:
    """The statistics of a table."""

    table: WorkTable
    config: NodeConfig | EdgeConfig
    base: str
    known: TableState | None = None
    """Of another graph, which is taken as it is"""

    @property
    def encoder(self) -> TableEncoder:
        """Of the table."""
        return TableEncoder(self.config, self.table.plan.key, self.base, self.known)

    def only(self, column: str) -> tuple[Fitting, list[str]]:
        """The attribute with this column of the graph folder (an edge's split stays too), and the columns that it
        reads."""
        of_names = {"features": feature_column, "text": text_column, "labels": label_column}
        chosen: dict[str, Any] = {}
        for field, column_of in of_names.items():
            named = getattr(self.config, field).items()
            chosen[field] = {name: value for name, value in named if column_of(name) == column}
        if isinstance(self.config, NodeConfig):
            node = self.config.model_copy(update={**chosen, "image": {}})
            needs = node_needs(self.table.plan.key, node)
            return replace(self, config=node), [need.column for need in needs]
        edge = self.config.model_copy(update={**chosen, "hard_negatives": None})
        needs = edge_needs(self.table.plan.key, edge)
        return replace(self, config=edge), [need.column for need in needs]

    def merge(self, first: Statistics, second: Statistics) -> Statistics:
        """Statistics of both."""
        return self.encoder.merge(first, second)

    def state(self, _: int, incoming: Iterator[Pair]) -> Iterator[Pair]:
        """The merged statistics -> (0,) -> what is kept of them, and problems. An executor does it: statistics may be
        many, such as the counts of all categories."""
        for key, statistics in incoming:
            problems = Problems()
            yield key, (self.encoder.state(statistics, self.table.nothing(), problems), problems)


@dataclass(frozen=True, slots=True)
class NodeStages:
    """The stages of one node table after its ids."""

    ids: NodeIdStages
    fitting: Fitting

    def fit(self, piece: int, incoming: Iterator[Pair]) -> Iterator[Pair]:
        """(piece,) -> statistics"""
        report = Report()
        table = self._read(piece, incoming, report)
        if table is not None:
            yield (piece,), self.fitting.encoder.fit(table, report.problems)
        yield (LAST, piece), report

    def _read(self, piece: int, incoming: Iterator[Pair], report: Report) -> Table | None:
        if piece == self.ids.table.pieces:  # the receiver of reports
            return None
        table = self.ids.table.read(piece, report.problems)
        return None if table is None else self.ids.kept(table, incoming)


@dataclass(frozen=True, slots=True)
class NodeRows:
    """The nodes of a type on the way to the index and to the files: those of the pieces of its table, then the ranges
    of nodes that only edges name."""

    stages: NodeStages | None
    """None: the type has no table"""
    numbering: Numbering
    buckets: Buckets
    plan_type: pa.DataType
    """Of ids where edges look for them"""
    id_type: pa.DataType
    """As they are written"""
    state: TableState | None = None
    degrees: DegreeColumns | None = None
    columns: tuple[str, ...] | None = None
    """Those of the table that are read; None: all"""

    @property
    def pieces(self) -> int:
        """Of the table; ranges follow"""
        return 0 if self.stages is None else self.stages.ids.table.pieces

    def index(self, piece: int, incoming: Iterator[Pair]) -> Iterator[Pair]:
        """(bucket, piece) -> rows of the index"""
        if piece == len(self.numbering.rows):  # the receiver of reports
            return
        sent = list(incoming)
        if self.stages is None or piece >= self.pieces:
            ids = self._created_ids(sent)
        else:
            stages = self.stages.ids
            table = stages.table.read(piece, Problems(), [stages.column])
            assert table is not None, "it was read before"
            ids = stages.kept(table, sent).column(stages.column)
        yield from indexed(ids, *self.numbering.of_piece(piece, sent), self.buckets, piece)

    def send(self, piece: int, incoming: Iterator[Pair]) -> Iterator[Pair]:
        """(partition, piece, slice) -> rows as they are written"""
        if piece == len(self.numbering.rows):  # the receiver of reports
            return
        report, sent = Report(), list(incoming)
        batch = self.batch(piece, sent, report)
        if batch is not None:
            if piece == 0:  # so that files without a row have columns too
                for partition in range(self.numbering.partitions):
                    yield (partition, -1, 0), pack(batch.slice(0, 0))
            positions, _ = self.numbering.of_piece(piece, sent)
            for partition, rows in split(batch, self.numbering.partition_of(positions)):
                for number, part in enumerate(slices(rows)):
                    yield (partition, piece, number), pack(part)
        yield (LAST, piece), report

    def batch(self, piece: int, sent: list[Pair], report: Report) -> pa.RecordBatch | None:
        """The rows of a piece as they are written; None: the report says what is wrong."""
        columns = self._of_table(piece, sent, report) if piece < self.pieces else self._created(sent, report)
        if columns is None:
            return None
        of_edges = {} if self.degrees is None else self.degrees.columns(self.numbering.rows[piece], sent)
        return batch_of({**columns, **of_edges})

    def only(self, column: str) -> NodeRows:
        """The same rows with the id and one column of the graph folder."""
        if self.stages is None or self.state is None:
            return self
        fitting, columns = self.stages.fitting.only(column)
        kept = {name: of for name, of in self.state.features.items() if feature_column(name) == column}
        stages, state = replace(self.stages, fitting=fitting), replace(self.state, features=kept)
        return replace(self, stages=stages, state=state, columns=tuple(columns))

    def _of_table(self, piece: int, sent: list[Pair], report: Report) -> Columns | None:
        assert self.stages is not None
        assert self.state is not None
        ids = self.stages.ids
        table = ids.table.read(piece, report.problems, self.columns)
        if table is None:
            return None
        for name in table.data.schema.names:
            report.trace.nulls(ids.key, name, table.column(name).null_count)
        table = ids.kept(table, sent)
        of_rows = table.column(ids.column)
        encoded = self.stages.fitting.encoder.apply(table, self.state, lambda: of_rows, report.problems)
        if encoded is None:
            return None
        report.encoded.count(encoded)
        return {ID_COLUMN: pc.cast(of_rows, self.id_type), **encoded.columns}

    def _created(self, sent: list[Pair], report: Report) -> Columns | None:
        """Zero features, no label, no text."""
        ids = pc.cast(self._created_ids(sent), self.id_type)
        if self.stages is None:
            return {ID_COLUMN: ids}
        nothing = self.stages.ids.table.nothing()
        assert self.state is not None
        no_ids = pa.array([], pa.large_string())
        encoded = self.stages.fitting.encoder.apply(nothing, self.state, lambda: no_ids, report.problems)
        return None if encoded is None else {ID_COLUMN: ids, **empty_rows(encoded.columns, len(ids))}

    def _created_ids(self, sent: list[Pair]) -> pa.Array:
        batches = by_order(pair for pair in sent if pair[0][1] == CREATED)
        return joined(batches).column(IDS) if batches else pa.array([], self.plan_type)
