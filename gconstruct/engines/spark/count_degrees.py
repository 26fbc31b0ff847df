"""How often the nodes of one type are an end of the edges of another type: what pieces of edges send to them.

Edges for validation and test do not count (see structure.base).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gconstruct.encoding import TableState
from gconstruct.encoding.splits import hashed_ids
from gconstruct.engines.spark.blobs import DEGREES, ROWS, SOURCE, TARGET, batch_of, pack, split
from gconstruct.engines.spark.cluster import Pair
from gconstruct.engines.spark.degrees import COUNTS, End
from gconstruct.engines.spark.edges import EdgeStages
from gconstruct.engines.spark.report import Report
from gconstruct.structure.base import is_visible
from gconstruct.tables.table import Table
from graphstorm_like.graph.schema import SPLIT_COLUMN


@dataclass(frozen=True, slots=True)
class EdgeDegrees:
    """Of one edge table, for one node type."""

    stages: EdgeStages
    state: TableState
    counted: tuple[End, ...]
    """All that is counted of the node type"""
    starts: Sequence[int]
    """pieces + 1 of the node type: nodes before each piece"""

    @classmethod
    def of(
        cls, stages: EdgeStages, state: TableState, counted: tuple[End, ...], starts: Sequence[int]
    ) -> EdgeDegrees | None:
        """It reads no column but those of the ends and of the split. None: nothing is counted of these edges."""
        edge_type = stages.ends.config.edge_type
        if edge_type not in [counted_type for counted_type, _ in counted]:
            return None
        fitting, columns = stages.fitting.only(SPLIT_COLUMN)
        only = replace(stages, fitting=fitting, columns=tuple(columns))
        return cls(only, replace(state, features={}), counted, starts)

    def send(self, piece: int, incoming: Iterator[Pair]) -> Iterator[Pair]:
        """(piece of nodes, DEGREES, number of the end, piece) -> rows of nodes and their degrees. What is wrong with
        the edges is reported when they are written."""
        if piece == self.stages.ends.table.pieces:  # the receiver of reports
            return
        known = self.stages.known(piece, incoming, Report())
        visible = None if known is None else self._visible(known.table)
        if known is None or visible is None:
            return
        first, starts = np.array(self.starts[:-1]), np.array(self.starts)
        for number, (edge_type, end) in enumerate(self.counted):
            if edge_type != self.stages.ends.config.edge_type:
                continue
            nodes, counts = np.unique(known.order[TARGET if end == "in" else SOURCE][visible], return_counts=True)
            pieces = np.searchsorted(first, nodes, side="right") - 1
            for of_nodes, batch in split(batch_of({ROWS: nodes - starts[pieces], COUNTS: counts}), pieces):
                yield (of_nodes, DEGREES, number, piece), pack(batch)

    def _visible(self, table: Table) -> np.ndarray | None:
        """bool (edges): those that count"""
        config = self.stages.ends.config
        if config.split is None:
            return np.ones(len(table), bool)
        encoder = self.stages.fitting.encoder
        report = Report()
        encoded = encoder.apply(table, self.state, lambda: hashed_ids(table, config), report.problems)
        return None if encoded is None else is_visible(encoded.columns[SPLIT_COLUMN])
