"""What the parts of one construction share: memory, folders, messages; and tables that are kept between passes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock

import numpy as np
import pyarrow as pa

from gconstruct.encoding import TableState
from gconstruct.engines.arrow.ids import dropped_rows
from gconstruct.problems import Problems
from gconstruct.report.trace import KEPT_EXAMPLES, Dropped, Step, Trace
from gconstruct.spill.batches import BatchSpool
from gconstruct.spill.budget import Memory
from gconstruct.spill.columns import ColumnsWriter
from gconstruct.tables.plan import TablePlan
from gconstruct.tables.read import ROWS_PER_BATCH, stream_table
from gconstruct.tables.table import Joined, Segment, Table
from graphstorm_like.graph.sparse import SPARSE_WIDTH

_PEEKED_ROWS = 1 << 10
_MIN_ROWS = 1 << 8
_BATCH_BYTES = 32 << 20
_SMALL_TABLE = 16 << 20
_NO_ROWS = np.empty(0, np.int64)


@dataclass(slots=True)
class Work:
    """One construction."""

    base: str
    """Folder where relative paths of images and the like start"""
    folder: Path
    """Of the partition that is written"""
    scratch: Path
    """For files that are deleted in the end"""
    memory: Memory
    threads: int
    trace: Trace
    problems: Problems
    dropped: dict[str, int] = field(default_factory=dict)
    """Rows left out, as the manifest names them"""
    bytes: int = 0
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _lock: Lock = field(default_factory=Lock)

    def scratch_path(self) -> Path:
        """A new name for a temporary file or folder."""
        return self.scratch / str(next(self._numbers))

    def writer(self, file: str) -> ColumnsWriter:
        """For a file of the partition."""
        return ColumnsWriter(self.folder / file, self.scratch_path(), self.memory.columns)

    def finish(self, writer: ColumnsWriter, first: Sequence[str] = ()) -> None:
        """Write the file of a writer, and count its size."""
        size = writer.finish(first)
        with self._lock:
            self.bytes += size

    def count_dropped(self, what: str, dropped: Mapping[str, Dropped], lost_splits: Mapping[str, int]) -> None:
        """Tell of rows of a table that were left out."""
        for reason, rows in dropped.items():
            if rows.count:
                self.dropped[f"{what}: {reason}"] = rows.count
                self.trace.dropped(what, reason, rows.count, rows.examples)
        for label, count in lost_splits.items():
            self.dropped[f"{what}.labels.{label}: split without a label"] = count
            self.trace.dropped(f"{what}.labels.{label}", "split without a label", count)


class DroppedRows:
    """Rows that are left out, batch after batch."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        """Those that show why"""
        self.by_reason: dict[str, Dropped] = {}

    def count(self, reason: str, rows: int) -> None:
        """So many more rows, without examples."""
        if rows:
            self.by_reason.setdefault(reason, Dropped()).count += rows

    def add(self, reason: str, table: Table, rows: np.ndarray) -> None:
        """Rows (from 0) of a table."""
        if not len(rows):
            return
        self.count(reason, len(rows))
        dropped = self.by_reason[reason]
        dropped.examples += dropped_rows(table, rows[: KEPT_EXAMPLES - len(dropped.examples)], self._columns).examples


def read_rows(plan: TablePlan, key: str, work: Work, step: Step, problems: Problems) -> Iterator[Table]:
    """A table as a stream of batches, whose sizes depend on the table alone; tells the trace of files and nulls."""
    size = sum(file.size for file in plan.files)
    work.trace.table(key, files=len(plan.files), size=size)
    known = [piece.part.rows for piece in plan.pieces]
    total = sum(rows for rows in known if rows is not None) if None not in known else None
    rows = 0
    for table in stream_table(plan, problems, rows_per_batch(plan, size)):
        rows += len(table)
        work.trace.table(key, rows=len(table))
        for column in table.data.schema.names:
            work.trace.nulls(key, column, table.data.column(column).null_count)
        if total:
            step.advance(rows, total)
        yield table


def rows_per_batch(plan: TablePlan, size: int) -> int:
    """Fewer than usual when rows are large, as the first ones show. size: bytes of all files"""
    if size <= _SMALL_TABLE:
        return ROWS_PER_BATCH
    first = next(stream_table(plan, Problems(), _PEEKED_ROWS), None)
    if first is None or not len(first):
        return ROWS_PER_BATCH
    row_bytes = max(int(first.data.nbytes) // len(first), 1)
    return min(ROWS_PER_BATCH, max(_MIN_ROWS, _BATCH_BYTES // row_bytes))


def slices(table: Table, state: TableState, pixels: int, memory: int) -> Iterator[tuple[int, Table]]:
    """(first row, rows) of parts of a table whose encoded columns take about `memory` bytes. pixels: bytes a row"""
    width = pixels + sum(8 * (SPARSE_WIDTH if of.sparse else of.width) for of in state.features.values())
    rows = max(1, memory // max(width, 1))
    if rows >= len(table):
        yield 0, table
        return
    for start in range(0, len(table), rows):
        yield start, slice_of(table, start, rows)


def slice_of(table: Table, start: int, rows: int) -> Table:
    """Consecutive rows of a table."""
    return table.slice(start, min(start + rows, len(table)))


class TableSpool:
    """Batches of a table with numbers of their rows, kept for the next pass: in memory, or in a file."""

    def __init__(self, plan: TablePlan, path: Path, memory: int) -> None:
        self._plan, self._spool = plan, BatchSpool(path, memory)
        self._segments: list[Sequence[Segment]] = []
        self._joined: list[Sequence[Joined]] = []

    def __len__(self) -> int:
        return self._spool.rows

    def append(self, table: Table, *numbers: np.ndarray) -> None:
        """The next rows. numbers: int64 (rows), the same count of them each time"""
        rows = np.arange(len(table)) if table.rows is None else table.rows
        columns = [table.column(name) for name in self._plan.columns]
        joined_rows = [other.rows for other in table.joined]
        all_numbers = (rows.astype(np.int32), *joined_rows, *numbers)
        arrays = [*columns, *(pa.array(values) for values in all_numbers)]
        self._spool.append(pa.record_batch(arrays, names=[str(number) for number in range(len(arrays))]))
        self._segments.append(table.segments)
        self._joined.append([Joined(other.table, other.columns, _NO_ROWS) for other in table.joined])

    def __iter__(self) -> Iterator[tuple[Table, list[np.ndarray]]]:
        names = list(self._plan.columns)
        for batch, segments, others in zip(self._spool, self._segments, self._joined, strict=True):
            rows, *numbers = (column.to_numpy() for column in batch.columns[len(names) :])
            data = pa.Table.from_arrays(batch.columns[: len(names)], schema=self._plan.schema)
            joined = [replace(other, rows=numbers[i]) for i, other in enumerate(others)]
            yield Table(self._plan, data, segments, rows, joined=joined), numbers[len(others) :]

    def tables(self, gone: np.ndarray) -> Iterator[Table]:
        """The rows without some. gone: int64, sorted, numbers of rows among all that were appended"""
        start = 0
        for table, _ in self:
            first, end = np.searchsorted(gone, (start, start + len(table)))
            local = gone[first:end] - start
            start += len(table)
            if not local.size:
                yield table
                continue
            keep = np.ones(len(table), bool)
            keep[local] = False
            yield table.keep(keep)

    def find(self, rows: Sequence[int]) -> dict[int, tuple[Table, int]]:
        """A batch that holds the row, and its number there, of each of a few rows."""
        found: dict[int, tuple[Table, int]] = {}
        start = 0
        for table, _ in self:
            for row in rows:
                if start <= row < start + len(table):
                    found[row] = slice_of(table, row - start, 1), 0
            start += len(table)
            if len(found) == len(set(rows)):
                break
        return found

    def delete(self) -> None:
        """Free memory and disk."""
        self._spool.delete()


class Places:
    """Knows the places of a few rows."""

    def __init__(self, places: Mapping[int, tuple[str, int]], label: str = "") -> None:
        self._places, self._label = places, label

    def place(self, row: int) -> tuple[str, int]:
        """(file, row within it, from 1)"""
        return self._places[row]

    def label(self) -> str:
        """The table's name."""
        return self._label
