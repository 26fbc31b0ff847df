"""The split of a label, or of edges, for the pieces of a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.problems import Problems
from gconstruct.splits import EDGE_SEPARATOR, HashedIds, SplitRows, split_of
from gconstruct.values import TableRows
from graphstorm_like.config.graph import EdgeConfig, NodeConfig
from graphstorm_like.config.splits import SplitConfig

OPTIONS = "options"
"""Key of a kept state: the options with which it was fitted"""
Classes = Callable[[TableRows], pa.Array]
_NOTHING: dict[str, Any] = {}
"""Statistics and state of a split that looks at nothing before `apply`."""


def hashed_ids(table: TableRows, config: NodeConfig | EdgeConfig) -> pa.Array:
    """The strings that splits hash (n): the id of a node; source, a separator, target of an edge."""
    if len(config.id_columns) == 1:
        return table.column(config.id_columns[0])
    ends = [pc.cast(table.column(column), pa.large_string()) for column in config.id_columns]
    return pc.binary_join_element_wise(*ends, pa.scalar(EDGE_SEPARATOR, pa.large_string()))


@dataclass(frozen=True, slots=True)
class SplitPlace:
    """Where a split stands. classes: the class of each row, where the split is of a class label."""

    table: NodeConfig | EdgeConfig
    key: str
    base: str
    classes: Classes | None = None


class SplitEncoder:
    """One split, with the steps of a TableEncoder."""

    def __init__(self, config: SplitConfig, place: SplitPlace) -> None:
        self.config, self._split, self._place = config, split_of(config), place

    @property
    def needs_fit(self) -> bool:
        """Whether anything depends on other rows."""
        return self._split.needs_fit

    @property
    def checks_all_rows(self) -> bool:
        """Whether all rows must be looked at also where the state is known: only they show what is wrong."""
        return self._split.needs_fit and not self._split.keeps_state

    @property
    def keeps_state(self) -> bool:
        """Whether graph.json keeps the state."""
        return self._split.keeps_state

    @property
    def _looks_first(self) -> bool:
        return self._split.needs_fit or self._split.checks

    def fit(self, table: TableRows, problems: Problems) -> Any:
        """Statistics of a piece; None: `problems` says why not."""
        if not self._looks_first:
            return _NOTHING
        rows = self._rows(table, lambda: hashed_ids(table, self._place.table), problems)
        values = self._split.read(rows)
        return None if values is None else self._split.fit(values)

    def merge(self, first: Any, second: Any) -> Any:
        """Statistics of the rows of both."""
        return self._split.merge(first, second) if self._looks_first else _NOTHING

    def state(self, statistics: Any, table: TableRows, problems: Problems) -> dict[str, Any] | None:
        """What `apply` needs; None: `problems` says why not. table: any piece, also without rows."""
        if not self._looks_first:
            return _NOTHING
        rows = self._rows(table, lambda: hashed_ids(table, self._place.table), problems)
        state: dict[str, Any] | None = self._split.state(statistics, rows)
        if state is not None and self.keeps_state:
            state |= {"by": self.config.by, OPTIONS: self._split.fitted_options()}
        return state

    def apply(self, table: TableRows, state: dict[str, Any], ids: HashedIds, problems: Problems) -> np.ndarray | None:
        """uint8 (n), or None (then `problems` says why)."""
        values = self._split.read(self._rows(table, ids, problems))
        return None if values is None else self._split.apply(values, state)

    def _rows(self, table: TableRows, ids: HashedIds, problems: Problems) -> SplitRows:
        place, of_table = self._place, self._place.classes
        classes = None if of_table is None else lambda: of_table(table)
        is_edge = len(place.table.id_columns) == 2
        return SplitRows(table, place.key, ids, problems, place.base, classes, is_edge)
