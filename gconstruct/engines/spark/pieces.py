"""Pieces of a table, which executors read: parts of large files, or several small files together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gconstruct.problems import Problems
from gconstruct.tables.filters import select_rows
from gconstruct.tables.plan import TablePiece, TablePlan
from gconstruct.tables.read import stream_table
from gconstruct.tables.table import Table

WORK_BYTES = 64 << 20
"""About the size of the files that one task reads"""
_ALL_ROWS = 1 << 62


@dataclass(frozen=True, slots=True)
class WorkTable:
    """A table and its pieces: all that an executor needs to read one of them."""

    plan: TablePlan
    groups: tuple[tuple[TablePiece, ...], ...]
    """By piece: what is read together"""

    @classmethod
    def of(cls, plan: TablePlan) -> WorkTable:
        """Gather what is small."""
        parts_of = Counter(part.file.path for part in plan.pieces)
        groups: list[list[TablePiece]] = []
        size = 0.0
        for part in plan.pieces:
            own = part.file.size / parts_of[part.file.path]
            if not groups or size + own > WORK_BYTES:
                groups.append([])
                size = 0.0
            groups[-1].append(part)
            size += own
        return cls(replace(plan, pieces=[]), tuple(map(tuple, groups)))

    @property
    def pieces(self) -> int:
        """Their number"""
        return len(self.groups)

    def read(self, piece: int, problems: Problems, columns: Sequence[str] | None = None) -> Table | None:
        """The rows of a piece, with all columns or some; None: `problems` says what is wrong."""
        wanted = self.plan if columns is None else self.plan.only(columns)
        plan = replace(wanted, pieces=list(self.groups[piece]), rows=None)
        table = next(stream_table(plan, problems, _ALL_ROWS), None)
        return None if table is None else self._selected(table, problems)

    def _selected(self, table: Table, problems: Problems) -> Table | None:
        """The rows of the edge type, where a column tells it."""
        before = len(problems)
        selected = select_rows(replace(table, plan=self.plan), problems)
        return selected if len(problems) == before else None

    def nothing(self) -> Table:
        """The table without rows."""
        return Table(self.plan, self.plan.schema.empty_table(), [])
