"""One edge table -> the numbers of its ends, and its attributes, spooled for the sort.

Rows pass through stages, each a stream of (rows, source numbers, target numbers): without null ends, looked up, without
unknown nodes, with the nodes that they add, without repeated edges, fitted, applied. A stage that needs all rows before
the next one can start (ids on disk, repeated edges, a fit) keeps them in a spool.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from gconstruct import rules
from gconstruct.attributes import Attributes
from gconstruct.encoding.table import Columns
from gconstruct.engines.arrow.encode import Encoding, Fitted
from gconstruct.engines.arrow.ids import null_mask
from gconstruct.engines.arrow.nodes import Nodes
from gconstruct.engines.arrow.unknown import UnknownNodes
from gconstruct.engines.arrow.work import DroppedRows, TableSpool, Work, read_rows
from gconstruct.known import KnownGraph
from gconstruct.problems import Problems
from gconstruct.report.trace import Step
from gconstruct.spill.edge_sort import EdgeSpool
from gconstruct.spill.id_map import Round
from gconstruct.spill.ordered import ordered_map
from gconstruct.spill.repeated_edges import RepeatedEdges
from gconstruct.tables.plan import TablePlan
from gconstruct.tables.table import Table
from gconstruct.write import to_arrow
from graphstorm_like.config.graph import EdgeConfig
from graphstorm_like.graph.schema import SOURCE_COLUMN, TARGET_COLUMN

_KNOWN_ROWS = 1 << 16

Numbered = tuple[Table, np.ndarray, np.ndarray]
"""Rows, and int64 numbers of their source and target nodes, -1: not known"""


@dataclass(slots=True)
class EdgeRows:
    """The edges of one type, ready to be sorted."""

    config: EdgeConfig
    spool: EdgeSpool
    nothing: Columns
    """The attributes' columns without rows"""
    attributes: Attributes = field(default_factory=Attributes)
    rows: int = 0
    """Of the table, without those that are left out"""


class EdgeTable:
    """One edge table and the nodes at its ends."""

    def __init__(
        self,
        config: EdgeConfig,
        plan: TablePlan,
        ends: tuple[Nodes, Nodes],
        known: KnownGraph | None,
        key: str,
        work: Work,
    ) -> None:
        self._config, self._plan, self._ends, self._known, self._work = config, plan, ends, known, work
        state = None if known is None else known.edge_state(config)
        self._key, self._encoding = key, Encoding(config, plan, work.base, state)
        self._columns = (config.source_id, config.target_id)
        self.dropped = DroppedRows(list(dict.fromkeys(self._columns)))
        self._problems = Problems()

    def read(self, spool: EdgeSpool, step: Step) -> EdgeRows | None:
        """Look up all ends and encode the attributes into the spool; None: the work's problems say why not."""
        stream = self._with_created(self._with_known(self._looked_up(self._with_ends(step))))
        if self._config.on_repeated_edge != "keep":
            stream = self._without_repeated(stream)
        rows = self._encoded(stream, spool)
        self._work.problems.add_all(self._problems)
        return rows

    # ------------------------------------------------------------------------------------------- stages of rows

    def _with_ends(self, step: Step) -> Iterator[Table]:
        """The rows without those that lack an end."""
        unreadable, nulls = Problems(), Problems()
        for table in read_rows(self._plan, self._key, self._work, step, unreadable):
            self.dropped.count("unknown relation", table.unknown_relations)
            bad = np.zeros(len(table), bool)
            for column in dict.fromkeys(self._columns):
                values = table.column(column)
                if values.null_count:
                    null = null_mask(values)
                    bad |= null
                    if self._config.on_bad_id == "error":
                        nulls.add(rules.null_ends(table, table.key, column, np.flatnonzero(null)))
            if bad.any():
                self.dropped.add("null end", table, np.flatnonzero(bad))
                table = table.keep(~bad)
            yield table
        self._problems.add_all(unreadable if len(unreadable) else nulls)

    def _looked_up(self, tables: Iterator[Table]) -> Iterator[Numbered]:
        """The rows with the numbers of nodes that there are already. While edges may add nodes of a type, only this
        thread reads its ids."""
        later: _Later | None = None

        def find(table: Table) -> tuple[Table, list[np.ndarray | None]]:
            found = [
                None if nodes.open or not nodes.ids.in_memory else nodes.ids.find(table.column(column))
                for nodes, column in zip(self._ends, self._columns, strict=True)
            ]
            return table, found

        for table, found in ordered_map(find, tables, self._work.threads):
            if later is None and all(nodes.ids.in_memory for nodes in self._ends):
                source, target = (
                    nodes.ids.find(table.column(column)) if numbers is None else numbers
                    for numbers, nodes, column in zip(found, self._ends, self._columns, strict=True)
                )
                yield table, source, target
                continue
            if later is None:
                later = _Later(self._ends, self._spool(), self._work, create=False)
            later.spool.append(table)
            for asked, column in zip(later.rounds, self._columns, strict=True):
                asked.add(table.column(column))
        if later is not None:
            for (table, _), source, target in later.rows():
                yield table, source, target
            later.delete()

    def _with_known(self, stream: Iterator[Numbered]) -> Iterator[Numbered]:
        """Leave out rows with unknown nodes, or report them, unless they add the nodes."""
        may_create = [not nodes.has_table or self._config.on_unknown_node == "create" for nodes in self._ends]
        unknown = [
            None if create else UnknownNodes(nodes.name, column, self._work)
            for nodes, column, create in zip(self._ends, self._columns, may_create, strict=True)
        ]
        report = self._config.on_unknown_node != "drop"
        before = len(self._problems)
        for table, source, target in stream:
            lost = np.zeros(len(table), bool)
            for nodes, numbers, of_end in zip(self._ends, (source, target), unknown, strict=True):
                if of_end is None:
                    continue
                # Nodes that other edges have added do not count.
                rows = np.flatnonzero((numbers < 0) | (numbers >= nodes.ids.table_count))
                lost[rows] = True
                if report and len(rows):
                    of_end.add(table, rows)
            if not lost.any():
                yield table, source, target
            elif not report:
                self.dropped.add("unknown node", table, np.flatnonzero(lost))
                yield table.keep(~lost), source[~lost], target[~lost]
        if len(self._problems) == before:
            for of_end in unknown:
                if of_end is not None:
                    of_end.report(self._plan.key, self._problems)

    def _with_created(self, stream: Iterator[Numbered]) -> Iterator[Numbered]:
        """Number the nodes that rows add."""
        later: _Later | None = None
        for table, source, target in stream:
            ends = [source, target]
            if later is None:
                ends = [
                    _inserted(nodes, table.column(column), numbers)
                    for nodes, column, numbers in zip(self._ends, self._columns, ends, strict=True)
                ]
                if all((numbers >= 0).all() for numbers in ends):
                    yield table, ends[0], ends[1]
                    continue
                later = _Later(self._ends, self._spool(), self._work, create=True)
            later.spool.append(table, *ends)
            for asked, column, numbers in zip(later.rounds, self._columns, ends, strict=True):
                asked.add(_at(table.column(column), np.flatnonzero(numbers < 0)))
        if later is not None:
            for (table, (source, target)), new_sources, new_targets in later.rows():
                yield table, _filled(source, new_sources), _filled(target, new_targets)
            later.delete()

    def _without_repeated(self, stream: Iterator[Numbered]) -> Iterator[Numbered]:
        """Leave out, or report, edges that are there already, in the table or in the graph that it adds to."""
        spool, seen = self._spool(), RepeatedEdges(self._work.scratch_path(), self._work.memory.rows)
        known_batches = 0
        for source, target, _ in self._known_edges():
            seen.add(source, target)
            known_batches += 1
        for table, source, target in stream:
            spool.append(table, source, target)
            seen.add(source, target)
        report = self._config.on_repeated_edge == "error"
        masks = itertools.islice(seen.masks(), known_batches, None)
        for (table, (source, target)), again in zip(spool, masks, strict=True):
            if not again.any():
                yield table, source, target
                continue
            rows = np.flatnonzero(again)
            if report:
                ends = [_at(table.column(column), rows[:3]).to_pylist() for column in self._columns]
                self._problems.add(rules.repeated_edges(table, table.key, rows, list(zip(*ends, strict=True))))
            else:
                self.dropped.add("repeated edge", table, rows)
                yield table.keep(~again), source[~again], target[~again]
        spool.delete()
        seen.delete()

    # -------------------------------------------------------------------------------------------- attributes

    def _encoded(self, stream: Iterator[Numbered], spool: EdgeSpool) -> EdgeRows | None:
        if self._encoding.needs_fit:
            stream = self._fitted(stream)
        if len(self._problems) or not self._encoding.settle(self._problems):
            return None
        nothing = self._encoding.nothing(self._problems)
        if nothing is None:
            return None
        rows = EdgeRows(self._config, spool, nothing.columns)
        for source, target, part in self._known_edges():
            spool.append(source, target, _batch(part, list(rows.nothing)))
        names, found = list(rows.nothing), Problems()
        items = ((table, (source, target)) for table, source, target in stream)
        memory, threads = self._work.memory.batch, self._work.threads
        for table, (source, target), encoded in self._encoding.apply(items, memory, threads, found):
            spool.append(source, target, _batch(encoded.columns, names))
            rows.rows += len(table)
        if not len(self._problems):  # otherwise these are only the problems of the rows that came through
            self._problems.add_all(found)
        if len(self._problems):
            return None
        rows.attributes = self._encoding.describe()
        if self._known is not None and self._known.adds:
            rows.attributes = self._known.with_known_edges(self._config.edge_type, rows.attributes)
        return rows

    def _fitted(self, stream: Iterator[Numbered]) -> Iterator[Numbered]:
        """Fit all rows, then give them again."""
        spool, found = self._spool(), Problems()

        def look(item: Numbered) -> tuple[Numbered, Fitted]:
            return item, self._encoding.fit(item[0])

        for (table, source, target), fitted in ordered_map(look, stream, self._work.threads):
            self._encoding.merge(fitted, found)
            spool.append(table, source, target)
        if not len(self._problems):
            self._problems.add_all(found)
        return self._again(spool)

    def _again(self, spool: TableSpool) -> Iterator[Numbered]:
        for table, (source, target) in spool:
            yield table, source, target
        spool.delete()

    def _known_edges(self) -> Iterator[tuple[np.ndarray, np.ndarray, Columns]]:
        """Both ends (int64) and all columns of the edges of the graph that the table adds to, which come first."""
        if self._known is None or not self._known.adds:
            return
        first = self._known.edge_rows(self._config.edge_type)
        for start in range(0, len(first[SOURCE_COLUMN]), _KNOWN_ROWS):
            part = {name: values[start : start + _KNOWN_ROWS] for name, values in first.items()}
            source, target = (np.asarray(part[name]).astype(np.int64) for name in (SOURCE_COLUMN, TARGET_COLUMN))
            yield source, target, part

    def _spool(self) -> TableSpool:
        return TableSpool(self._plan, self._work.scratch_path(), self._work.memory.rows)


class _Later:
    """Rows whose ends are looked up once all of them have been read, because ids are on disk."""

    def __init__(self, ends: tuple[Nodes, Nodes], spool: TableSpool, work: Work, create: bool) -> None:
        self.spool = spool
        memory = work.memory.rows // 4
        self.rounds: list[Round] = [nodes.ids.start_round(create and nodes.open, memory) for nodes in ends]

    def rows(self) -> Iterator[tuple[tuple[Table, list[np.ndarray]], np.ndarray, np.ndarray]]:
        """The rows with what they were spooled with, and the numbers that were asked for."""
        source, target = self.rounds
        yield from zip(self.spool, source.numbers(), target.numbers(), strict=True)

    def delete(self) -> None:
        """Free memory and disk."""
        self.spool.delete()
        for asked in self.rounds:
            asked.delete()


def _batch(columns: Mapping[str, np.ndarray | pa.Array], names: Sequence[str]) -> pa.RecordBatch:
    return pa.record_batch([to_arrow(columns[name]) for name in names], names=names)


def _inserted(nodes: Nodes, ids: pa.Array, numbers: np.ndarray) -> np.ndarray:
    """The numbers with those of the nodes that are added, as long as the ids are in memory."""
    new = np.flatnonzero(numbers < 0)
    if not new.size or not nodes.ids.in_memory:
        return numbers
    return _filled(numbers, nodes.ids.insert(_at(ids, new)))


def _filled(numbers: np.ndarray, new: np.ndarray) -> np.ndarray:
    """The numbers with new ones where they are -1."""
    filled = numbers.copy()
    filled[numbers < 0] = new
    return filled


def _at(ids: pa.Array, rows: np.ndarray) -> pa.Array:
    return ids if len(rows) == len(ids) else ids.take(pa.array(rows))
