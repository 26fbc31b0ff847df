"""Ends of edges whose ids no node has, for one message about all of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct import rules
from gconstruct.engines.arrow.work import Places, Work
from gconstruct.problems import EXAMPLES, Problems
from gconstruct.spill.id_map import IdMap
from gconstruct.tables.table import Table


class UnknownNodes:
    """The unknown ids in one column of an edge table."""

    def __init__(self, node_type: str, column: str, work: Work) -> None:
        self._node_type, self._column, self._work = node_type, column, work
        self._ids: IdMap | None = None
        self._edges = 0
        self._values: list[object] = []
        self._places: dict[int, tuple[str, int]] = {}

    def add(self, table: Table, rows: np.ndarray) -> None:
        """Rows (from 0) with an unknown id."""
        ids = table.column(self._column).take(pa.array(rows))
        self._edges += len(rows)
        if self._ids is None:
            self._ids = IdMap(self._work.scratch_path(), ids.type, self._work.memory.ids)
        self._ids.add(ids)
        if len(self._values) == EXAMPLES:
            return
        for value in pc.unique(ids).slice(0, 2 * EXAMPLES).to_pylist():
            if value not in self._values and len(self._values) < EXAMPLES:
                row = rows[pc.index(ids, pa.scalar(value, ids.type)).as_py()]
                self._places[len(self._values)] = table.place(int(row))
                self._values.append(value)

    def report(self, key: str, problems: Problems) -> None:
        """One message with the numbers of edges and ids, and three different ids with their rows. key: of the table."""
        if self._ids is None:
            return
        self._ids.seal()
        rows, counts = range(len(self._values)), (self._edges, self._ids.count)
        places = Places(self._places)
        problems.add(rules.unknown_nodes(places, key, self._column, self._node_type, rows, self._values, *counts))
