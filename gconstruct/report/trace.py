"""What construction met on its way: its steps, the tables it read, nulls by column, and rows it left out.

Every engine calls one Trace, from one thread; what other processes find comes in with `merge` (a Trace without
`follow` can be pickled). `key` is 'nodes.item' or 'edges.user:buys:item', as in `dropped` of graph.json.

    with trace.step("nodes.item") as step:
        step.advance(rows_so_far, rows_in_all)      any number of times
        trace.table("nodes.item", files=2, rows=50_000, size=12_000_000)
        trace.nulls("nodes.item", "price", 17)
        trace.dropped("nodes.item", "null id", 3, [Example.of(table, row, None)])
        step.rows = 49_997
        trace.created("nodes.item", 12)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

from gconstruct.problems import Placed, shown
from gconstruct.report.memory import Sampler, cpu_seconds, resident_bytes

KEPT_EXAMPLES = 5
"""Examples of rows that were left out, for each reason"""
Follow = Callable[[str, int, int], None]
"""Gets (step, done, total) while a step advances, and (step, total, total) at its end."""


@dataclass(frozen=True, slots=True)
class Example:
    """A row that was left out."""

    file: str
    row: int
    """Within the file, from 1"""
    value: str
    """As messages show it"""

    @classmethod
    def of(cls, table: Placed, row: int, *values: object) -> Example:
        """The row (from 0) of a table that knows its files, with the values that were its fault."""
        return cls(*table.place(row), ", ".join(map(shown, values)))


@dataclass(slots=True)
class Step:
    """One step of construction. Steps within it have a greater depth, and their seconds count in its own too."""

    name: str
    depth: int = 0
    rows: int | None = None
    """Nodes or edges that it made; set by whoever does the work"""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    """The most memory of the process meanwhile, pages of mapped files included"""
    _follow: Follow | None = None
    _total: int | None = None

    def advance(self, done: int, total: int) -> None:
        """So many of so many rows or bytes have been worked on."""
        if self._follow is not None:
            self._total = total
            self._follow(self.name, min(done, total - 1), total)

    def close(self) -> None:
        """No more progress."""
        if self._follow is not None and self._total is not None:
            self._follow(self.name, self._total, self._total)
        self._follow = None


@dataclass(slots=True)
class TableRead:
    """What was read of a node or edge type."""

    files: int = 0
    rows: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Dropped:
    """Rows that were left out for one reason."""

    count: int = 0
    examples: list[Example] = field(default_factory=list)


@dataclass(slots=True)
class Trace:
    """The record of one construction."""

    follow: Follow | None = None
    steps: list[Step] = field(default_factory=list)
    """In the order of their starts"""
    tables: dict[str, TableRead] = field(default_factory=dict)
    """By key"""
    null_counts: dict[str, dict[str, int]] = field(default_factory=dict)
    """By key, by column; columns without nulls may be left out"""
    dropped_rows: dict[str, dict[str, Dropped]] = field(default_factory=dict)
    """By key, by reason"""
    created_nodes: dict[str, int] = field(default_factory=dict)
    """By key"""
    _open: list[Step] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Time a with block, and follow its memory."""
        step = Step(name, len(self._open), _follow=self.follow)
        self.steps.append(step)
        outermost = not self._open
        self._open.append(step)
        started, cpu = time.perf_counter(), cpu_seconds()
        try:
            with Sampler(self._see_memory) if outermost else nullcontext():
                self._see_memory()
                yield step
                self._see_memory()
        finally:
            step.seconds, step.cpu_seconds = time.perf_counter() - started, cpu_seconds() - cpu
            step.close()
            self._open.pop()

    def _see_memory(self) -> None:
        size = resident_bytes()
        for step in tuple(self._open):
            step.peak_bytes = max(step.peak_bytes, size)

    def table(self, key: str, *, files: int = 0, rows: int = 0, size: int = 0) -> None:
        """Files, rows or bytes of a table have been read; several calls add up."""
        read = self.tables.setdefault(key, TableRead())
        read.files, read.rows, read.bytes = read.files + files, read.rows + rows, read.bytes + size

    def nulls(self, key: str, column: str, count: int) -> None:
        """Nulls of a column; several calls add up."""
        counts = self.null_counts.setdefault(key, {})
        counts[column] = counts.get(column, 0) + count

    def dropped(self, key: str, reason: str, count: int, examples: Sequence[Example] = ()) -> None:
        """Rows that were left out; several calls add up, and the first KEPT_EXAMPLES examples stay."""
        if count:
            dropped = self.dropped_rows.setdefault(key, {}).setdefault(reason, Dropped())
            dropped.count += count
            dropped.examples += examples[: max(0, KEPT_EXAMPLES - len(dropped.examples))]

    def created(self, key: str, count: int) -> None:
        """Nodes of a type that only edges name, and that were added without features."""
        self.created_nodes[key] = self.created_nodes.get(key, 0) + count

    def merge(self, other: Trace) -> None:
        """Add what another process found in its share of the rows; its steps stay its own."""
        for key, read in other.tables.items():
            self.table(key, files=read.files, rows=read.rows, size=read.bytes)
        for key, count in other.created_nodes.items():
            self.created(key, count)
        for key, counts in other.null_counts.items():
            for column, count in counts.items():
                self.nulls(key, column, count)
        for key, by_reason in other.dropped_rows.items():
            for reason, dropped in by_reason.items():
                self.dropped(key, reason, dropped.count, dropped.examples)
