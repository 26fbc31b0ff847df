"""Rows of a table that know the file and row that each of them came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from gconstruct.problems import Problems, counted
from gconstruct.tables.plan import TablePlan
from gconstruct.values import Source


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive rows of one file."""

    path: str
    first_row: int
    """Rows of the file before them"""
    rows: int


@dataclass(frozen=True, slots=True)
class Joined:
    """The rows of another table that belong to the rows of a table, and the columns that it gives."""

    table: Table
    columns: Sequence[str]
    rows: np.ndarray
    """int64 (rows of the table that it belongs to): -1 for those without one"""


@dataclass(frozen=True, slots=True)
class _JoinedRows:
    """Places of a joined column's values; a row without one is where its node is."""

    own: Table
    joined: Joined

    def place(self, row: int) -> tuple[str, int]:
        """(file, row within it, from 1)"""
        at = int(self.joined.rows[row])
        return self.own.place(row) if at < 0 else self.joined.table.place(at)

    def label(self) -> str:
        """The other table's files."""
        return self.joined.table.label()


@dataclass
class Table:
    """Some or all rows of a planned table, in order, with the planned columns and types."""

    plan: TablePlan
    data: pa.Table
    segments: Sequence[Segment]
    """Where the rows were read"""
    rows: np.ndarray | None = None
    """int64 (rows): numbers the rows had when they were read, once some were left out"""
    unknown_relations: int = 0
    """Rows that were left out because their relation is none of the configuration's"""
    joined: Sequence[Joined] = ()
    """Where the columns of other tables come from"""

    def __len__(self) -> int:
        return int(self.data.num_rows)

    @property
    def key(self) -> str:
        """'graph.nodes.item' or 'graph.edges[2]'"""
        return self.plan.key

    @cached_property
    def _starts(self) -> np.ndarray:
        """int64 (segments): where each segment's rows start"""
        lengths = [segment.rows for segment in self.segments]
        return np.cumsum([0, *lengths[:-1]], dtype=np.int64)

    def place(self, row: int) -> tuple[str, int]:
        """(file, row within it, from 1)"""
        row = row if self.rows is None else int(self.rows[row])
        index = int(np.searchsorted(self._starts, row, side="right")) - 1
        segment = self.segments[index]
        return segment.path, segment.first_row + row - int(self._starts[index]) + 1

    def numbers_in_file(self) -> np.ndarray | None:
        """int64 (rows): the row of the table's file that each was, from 0; None: the table has several files."""
        if len(self.plan.files) > 1:
            return None
        read = [np.arange(s.first_row, s.first_row + s.rows) for s in self.segments] or [np.empty(0, np.int64)]
        numbers: np.ndarray = np.concatenate(read)
        return numbers if self.rows is None else numbers[self.rows]

    def column(self, name: str) -> pa.Array:
        """A column in one piece, which replaces its chunks in the table: several uses share one copy."""
        column = self.data.column(name)
        if column.num_chunks == 1:
            return column.chunk(0)
        array = column.combine_chunks()
        self.data = self.data.set_column(self.data.schema.get_field_index(name), name, array)
        return array

    def keep(self, mask: np.ndarray) -> Table:
        """The rows where the mask (bool, rows) is true."""
        rows = np.flatnonzero(mask) if self.rows is None else self.rows[mask]
        joined = [Joined(other.table, other.columns, other.rows[mask]) for other in self.joined]
        return Table(self.plan, self.data.filter(pa.array(mask)), self.segments, rows, joined=joined)

    def slice(self, start: int, end: int) -> Table:
        """Consecutive rows."""
        rows = np.arange(start, end) if self.rows is None else self.rows[start:end]
        joined = [Joined(other.table, other.columns, other.rows[start:end]) for other in self.joined]
        return Table(self.plan, self.data.slice(start, end - start), self.segments, rows, joined=joined)

    def source(self, name: str, key: str, problems: Problems) -> Source:
        """A column for what `key` names in the YAML."""
        other = next((joined for joined in self.joined if name in joined.columns), None)
        rows = self if other is None else _JoinedRows(self, other)
        return Source(name, self.column(name), rows, key, problems, self.untyped(name))

    def untyped(self, name: str) -> bool:
        """From CSV only: strings that may stand for integers."""
        return self.plan.columns[name].untyped

    def label(self) -> str:
        """'items.parquet' or 'items.parquet and 3 more files'"""
        first, more = self.plan.files[0].path, len(self.plan.files) - 1
        return f"{first} and {counted(more, 'more file')}" if more else first
