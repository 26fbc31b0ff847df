"""One node table -> its ids, and the columns of its file.

read     the rows once, batch by batch: ids are collected, attributes fitted, the rows kept for the next pass
encode   the kept rows: attributes are applied, and appended to the file
write    the file, when edges cannot add nodes any more
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from gconstruct import rules
from gconstruct.attributes import Attributes, empty_rows
from gconstruct.encoding.table import Columns
from gconstruct.engines.arrow.encode import Encoding, Fitted
from gconstruct.engines.arrow.id_checks import IdColumn, id_type_of, without_null_ids, without_repeated_ids
from gconstruct.engines.arrow.work import DroppedRows, TableSpool, Work, read_rows
from gconstruct.known import KnownGraph
from gconstruct.problems import Problems
from gconstruct.report.trace import Step
from gconstruct.spill.id_map import IdMap
from gconstruct.spill.ordered import ordered_map
from gconstruct.tables.plan import TablePlan
from gconstruct.tables.table import Table
from graphstorm_like.config.graph import NodeConfig
from graphstorm_like.graph.schema import ID_COLUMN, NodeTypeSchema

_KNOWN_ROWS = 1 << 16


class Nodes:
    """One node type. id_type: of its ids as they are read. untyped: only CSV files name them. is_open: edges may add
    some."""

    def __init__(
        self,
        name: str,
        config: NodeConfig,
        plan: TablePlan | None,
        known: KnownGraph | None,
        id_type: pa.DataType,
        untyped: bool,
        is_open: bool,
        file: str,
        work: Work,
    ) -> None:
        self.name, self.open, self.has_table = name, is_open, plan is not None
        self._config, self._plan, self._known, self._work = config, plan, known, work
        self._known_ids = None if known is None else known.ids(name)
        self.ids = IdMap(work.scratch_path(), id_type, work.memory.ids)
        self.written_ids = IdColumn(untyped)
        self.attributes = Attributes()
        self.dropped = DroppedRows((config.id,) if config.id is not None else ())
        self.rows = 0
        """Of the table, without those that are left out"""
        self._spool: TableSpool | None = None
        self._gone = np.empty(0, np.int64)
        self._writer = work.writer(file)
        self._columns: Columns = {}
        """Columns of the file without rows"""
        if self._known_ids is not None:
            self.ids.add(self._known_ids)
            self.written_ids.see(self._known_ids)

    @property
    def created(self) -> int:
        """Nodes that edges added"""
        return self.ids.created_count

    @property
    def is_empty(self) -> bool:
        """Whether there is no node but those of edges."""
        return self._known_ids is None and not self.has_table

    def read(self, step: Step) -> bool:
        """Read and encode the table; False: the work's problems say why not. A type without a table has nothing to
        read."""
        if self._plan is None:
            self.ids.seal()
            return True
        found = Problems()
        encoding = self._read(self._plan, step, found)
        if encoding is not None and self._settle(encoding, found):
            self._encode(encoding, found)
        self._work.problems.add_all(found)
        return not len(found)

    def _read(self, plan: TablePlan, step: Step, problems: Problems) -> Encoding | None:
        assert self._config.id is not None
        column, skip = self._config.id, self._config.on_bad_id == "skip"
        base = self._work.base
        state = None if self._known is None else self._known.node_state(self.name)
        encoding = Encoding(self._config, plan, base, state)
        unreadable, of_ids, of_values = Problems(), Problems(), Problems()
        spool = TableSpool(plan, self._work.scratch_path(), self._work.memory.rows)
        self._spool = spool

        def look(table: Table) -> tuple[Table, Fitted]:
            return table, Fitted(None) if skip else encoding.fit(table)

        tables = read_rows(plan, f"nodes.{self.name}", self._work, step, unreadable)
        for table, fitted in ordered_map(look, tables, self._work.threads):
            encoding.merge(fitted, of_values)
            with_id = without_null_ids(table, column, skip, self.dropped, of_ids)
            ids = with_id.column(column)
            self.ids.add(ids)
            self.written_ids.see(ids)
            spool.append(with_id)
        if len(unreadable):
            problems.add_all(unreadable)
            return None
        known = 0 if self._known_ids is None else len(self._known_ids)
        repeated = self.ids.seal()
        if repeated.rows.size:
            self._gone = without_repeated_ids(spool, repeated, known, plan.key, column, skip, self.dropped, of_ids)
        self.rows = len(spool) - len(self._gone)
        if not self.rows and not known:
            of_ids.add(rules.no_nodes(Table(plan, plan.schema.empty_table(), []), f"graph.nodes.{self.name}"))
            of_values = Problems()
        problems.add_all(of_ids)
        problems.add_all(of_values)
        return encoding

    def _settle(self, encoding: Encoding, problems: Problems) -> bool:
        """Fit, if that waited for the rows that stay, and settle the state. Of rows whose ids are wrong everything else
        is told too."""
        found = Problems()
        if self._config.on_bad_id == "skip" and encoding.needs_fit:
            assert self._spool is not None
            for fitted in ordered_map(encoding.fit, self._spool.tables(self._gone), self._work.threads):
                encoding.merge(fitted, found)
        settled = encoding.settle(found)
        problems.add_all(found)
        return settled

    def _encode(self, encoding: Encoding, problems: Problems) -> None:
        assert self._spool is not None
        assert self._config.id is not None
        memory, threads = self._work.memory.batch, self._work.threads
        nothing = encoding.nothing(problems)
        if nothing is None:
            return
        self._columns = nothing.columns
        self._writer.append(self._columns)
        if self._known is not None and self._known_ids is not None:
            self._append_known(self._known)
        kept = ((table, ()) for table in self._spool.tables(self._gone))
        found = Problems()
        for table, _, encoded in encoding.apply(kept, memory, threads, found):
            self._writer.append(encoded.columns)
            if not self.open:
                self._append_ids([table.column(self._config.id)])
        problems.add_all(found)
        self.attributes = encoding.describe()
        if self._known is not None and self._known_ids is not None:
            self.attributes = self._known.with_known_nodes(self.name, self.attributes)
        if not self.open:
            self._spool.delete()
            self._spool = None

    def _append_known(self, known: KnownGraph) -> None:
        columns = {name: values for name, values in known.node_rows(self.name).items() if name in self._columns}
        for start in range(0, len(self._known_ids or ()), _KNOWN_ROWS):
            self._writer.append({name: values[start : start + _KNOWN_ROWS] for name, values in columns.items()})
        if not self.open and self._known_ids is not None:
            self._append_ids([self._known_ids])

    def write(self) -> NodeTypeSchema:
        """Write the file; after the last edge when edges may add nodes."""
        if self.open:
            self._number_created()
        self._work.finish(self._writer, first=[ID_COLUMN])
        return NodeTypeSchema(
            count=self.ids.count,
            id_type=self._id_type,
            features=self.attributes.features,
            text=self.attributes.text,
            image=self.attributes.image,
            labels=self.attributes.labels,
            time=self.attributes.time,
        )

    def _number_created(self) -> None:
        self.ids.close(self._work.memory.edges)
        for ids in self.ids.created():
            self.written_ids.see(ids)
            for start in range(0, len(ids), _KNOWN_ROWS):
                self._writer.append(empty_rows(self._columns, min(_KNOWN_ROWS, len(ids) - start)))
        self._append_ids(self._all_ids())

    def _all_ids(self) -> Iterator[pa.Array]:
        if self._known_ids is not None:
            yield self._known_ids
        if self._spool is not None:
            assert self._config.id is not None
            for table in self._spool.tables(self._gone):
                yield table.column(self._config.id)
            self._spool.delete()
        yield from self.ids.created()

    def _append_ids(self, parts: Iterable[pa.Array]) -> None:
        for ids in self.written_ids.cast([self.ids.no_ids, *parts]):
            self._id_type = id_type_of(ids.type)
            self._writer.append({ID_COLUMN: ids})
