"""Attributes of a table in two passes over its batches: fit, then apply; batches are worked on in threads.

Statistics are merged in the order of the batches, whose sizes depend on the table alone, so that neither threads nor
memory change the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from gconstruct.attributes import Attributes
from gconstruct.encoding import TableEncoder, TableState
from gconstruct.encoding.splits import hashed_ids
from gconstruct.encoding.table import Encoded, Statistics
from gconstruct.engines.arrow.work import slice_of, slices
from gconstruct.problems import Problems
from gconstruct.spill.ordered import ordered_map
from gconstruct.tables.plan import TablePlan
from gconstruct.tables.table import Table
from graphstorm_like.config.graph import EdgeConfig, NodeConfig


@dataclass(slots=True)
class Fitted:
    """Statistics of one batch."""

    statistics: Statistics | None
    problems: Problems = field(default_factory=Problems)


class Encoding:
    """The attributes of one table. state: of a known graph, instead of one that is fitted."""

    def __init__(
        self,
        config: NodeConfig | EdgeConfig,
        plan: TablePlan,
        base: str,
        state: TableState | None,
    ) -> None:
        self._config, self._plan = config, plan
        self._encoder = TableEncoder(config, plan.key, base, state)
        self._state: TableState | None = None
        self._pixels = sum(3 * image.size[0] * image.size[1] for image in config.image.values())
        self._statistics: Statistics | None = None
        self._failed = False
        self.counts = Encoded()
        """Of all batches that were applied"""

    @property
    def needs_fit(self) -> bool:
        """Whether all rows must be seen before any is encoded."""
        return self._encoder.needs_fit

    def fit(self, table: Table) -> Fitted:
        """Statistics of a batch; several threads may call it."""
        fitted = Fitted(None)
        if self.needs_fit:
            fitted.statistics = self._encoder.fit(table, fitted.problems)
        return fitted

    def merge(self, fitted: Fitted, problems: Problems) -> None:
        """Add the next batch's."""
        problems.add_all(fitted.problems)
        self._failed = self._failed or bool(len(fitted.problems))
        if self._statistics is None:
            self._statistics = fitted.statistics
        elif fitted.statistics is not None:
            self._statistics = self._encoder.merge(self._statistics, fitted.statistics)

    def settle(self, problems: Problems) -> bool:
        """After all batches; False: `problems` says what is wrong."""
        if self._failed:
            return False
        nothing = Table(self._plan, self._plan.schema.empty_table(), [])
        if self._statistics is None:
            self._statistics = self._encoder.fit(nothing, problems)
        self._state = self._encoder.state(self._statistics, nothing, problems)
        self._statistics = None
        return self._state is not None

    def apply(
        self, tables: Iterable[tuple[Table, Sequence[np.ndarray]]], memory: int, threads: int, problems: Problems
    ) -> Iterator[tuple[Table, Sequence[np.ndarray], Encoded]]:
        """Encode batches in parts of about `memory` bytes. What goes with rows stays with them. After a problem nothing
        more is given, but all batches are looked at."""
        for table, numbers, encoded, found in ordered_map(self._apply, self._parts(tables, memory), threads):
            problems.add_all(found)
            if encoded is None or len(problems):
                continue
            self.counts.count(encoded)
            yield table, numbers, encoded

    def _parts(
        self, tables: Iterable[tuple[Table, Sequence[np.ndarray]]], memory: int
    ) -> Iterator[tuple[Table, Sequence[np.ndarray]]]:
        assert self._state is not None
        for table, numbers in tables:
            for start, part in slices(table, self._state, self._pixels, memory):
                yield part, [values[start : start + len(part)] for values in numbers]

    def _apply(
        self, item: tuple[Table, Sequence[np.ndarray]]
    ) -> tuple[Table, Sequence[np.ndarray], Encoded | None, Problems]:
        assert self._state is not None
        table, numbers = item
        problems = Problems()
        encoded = self._encoder.apply(table, self._state, lambda: hashed_ids(table, self._config), problems)
        return table, numbers, encoded, problems

    def nothing(self, problems: Problems) -> Encoded | None:
        """The columns without rows; None: `problems` says why there are none. A known state meets the table here."""
        assert self._state is not None
        table = slice_of(Table(self._plan, self._plan.schema.empty_table(), []), 0, 0)
        return self._encoder.apply(table, self._state, lambda: hashed_ids(table, self._config), problems)

    def describe(self) -> Attributes:
        """What the manifest says, without columns."""
        assert self._state is not None
        self.counts.columns = {}
        return self._encoder.describe(self._state, self.counts)
