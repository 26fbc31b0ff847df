"""Pieces of a table, which executors read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gconstruct.engines.arrow.plan import TablePlan
from gconstruct.engines.arrow.read import Table, read_table
from gconstruct.problems import Problems


@dataclass(frozen=True, slots=True)
class WorkTable:
    """A table and its pieces: all that an executor needs to read one of them."""

    plan: TablePlan

    @property
    def pieces(self) -> int:
        return len(self.plan.files)

    def read(self, piece: int, problems: Problems, columns: Sequence[str] | None = None) -> Table | None:
        """The rows of a piece, with all columns or some; None: `problems` says what is wrong."""
        plan, file = self.plan, self.plan.files[piece]
        wanted = {name: plan.columns[name] for name in (columns or plan.columns)}
        table = read_table(replace(plan, files=[file], columns=wanted), problems)
        if table is None:
            return None
        starts = np.zeros(len(plan.files) + 1, np.int64)
        starts[piece + 1 :] = len(table)
        return replace(table, files=plan.files, starts=starts)

    def nothing(self) -> Table:
        """The table without rows."""
        raise NotImplementedError
