"""The order of construction: node tables, edge tables, nodes that edges add, files.

In: GraphConfig and an empty folder. Out: the files of one partition and their part of the manifest. Node and
edge types whose counts cannot change any more are written immediately, so that memory holds one table at a time; only
types whose nodes come from edges wait until all edge tables are read.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from gconstruct import rules
from gconstruct.attributes import Attributes
from gconstruct.csc import sort_edges
from gconstruct.encoding import TableEncoder
from gconstruct.engines.arrow.attributes import whole_table
from gconstruct.engines.arrow.edges import EdgeRows, encode_edges
from gconstruct.engines.arrow.ids import NodeIds, check_ids
from gconstruct.engines.base import Progress
from gconstruct.known import KnownGraph, known_graph
from gconstruct.manifest import Construction
from gconstruct.problems import Problems, counted
from gconstruct.report.trace import Dropped, Step, Trace
from gconstruct.tables.plan import TablePlan, plan_tables
from gconstruct.tables.read import read_table
from gconstruct.tables.table import Table
from gconstruct.write import file_names, write_columns
from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.graph import EdgeConfig, GraphConfig
from graphstorm_like.graph.schema import (
    ID_COLUMN,
    SOURCE_COLUMN,
    TARGET_COLUMN,
    EdgeTypeSchema,
    NodeTypeSchema,
    PartitionSchema,
    indptr_file,
)

_FOLDER = "part-0"


class ArrowEngine:
    """One construction. `check` reads only headers; `run` does the work."""

    writes_partitions = False

    def __init__(self, config: GraphConfig, progress: Progress) -> None:
        self._config = config
        self._say = progress
        self._problems = Problems()
        self._known: KnownGraph | None = None
        self._node_plans: dict[str, TablePlan] = {}
        self._edge_plans: list[TablePlan] = []
        self._ids: dict[str, NodeIds] = {}
        self._attributes: dict[str, Attributes] = {}
        self._node_schemas: dict[str, NodeTypeSchema] = {}
        self._edge_schemas: dict[EdgeType, EdgeTypeSchema] = {}
        self._dropped: dict[str, int] = {}
        self._node_files = file_names((name,) for name in config.nodes)
        self._edge_files = file_names(config.edge_types())
        self._folder = Path()
        self._trace = Trace()
        self._bytes = 0

    def check(self) -> None:
        """Report missing files, wrong names and wrong types before any folder is made."""
        id_types = {}
        if self._config.like is not None or self._config.add_to is not None:
            self._known = known_graph(self._config)
            self._known.check(self._problems)
            id_types = self._known.id_types()
        self._node_plans, self._edge_plans = plan_tables(self._config, self._problems, id_types)
        num_files, size = 0, 0
        for plan in (*self._node_plans.values(), *self._edge_plans):
            num_files += len(plan.files)
            size += sum(file.size for file in plan.files)
        self._say(f"reading {counted(num_files, 'file')}, {size / 1e6:,.1f} MB")

    def run(self, folder: Path, trace: Trace) -> Construction:
        """Read everything, and write a partition into `folder`."""
        self._folder, self._trace = folder, trace
        for sub in ("nodes", "edges"):
            (folder / _FOLDER / sub).mkdir(parents=True)
        for name in self._config.nodes:
            with trace.step(f"nodes.{name}") as step:
                self._read_nodes(name, step)
        self._problems.raise_if_any()
        waiting = []
        for edge, plan in zip(self._config.edges, self._edge_plans, strict=True):
            with trace.step(f"edges.{edge_name(edge.edge_type)}") as step:
                rows = self._read_edges(edge, plan, step)
            if rows is not None:
                waiting.append(rows)
        self._problems.raise_if_any()
        for name, ids in self._ids.items():
            if ids.open:
                with trace.step(f"nodes.{name}: number and write") as step:
                    ids.close()
                    step.rows = ids.count
                    self._write_nodes(name)
        for rows in waiting:
            with trace.step(f"edges.{edge_name(rows.config.edge_type)}: sort and write") as step:
                step.rows = len(rows)
                self._write_edges(rows)
        return self._result()

    def _read_nodes(self, name: str, step: Step) -> None:
        started = time.perf_counter()
        created = any(name in (e.source, e.target) and e.on_unknown_node == "create" for e in self._config.edges)
        plan = self._node_plans.get(name)
        known_ids = None if self._known is None else self._known.ids(name)
        if plan is None:
            self._ids[name] = NodeIds(name, known_ids, has_table=False, open=True)
            self._attributes[name] = Attributes()
            return
        table = read_table(plan, self._problems)
        if table is None:
            return
        self._note_table(f"nodes.{name}", table)
        config = self._config.nodes[name]
        column = config.id
        assert column is not None
        table, dropped = check_ids(table, column, known_ids, config.on_bad_id == "skip", self._problems)
        if len(table) == 0 and known_ids is None:
            self._problems.add(rules.no_nodes(table, f"graph.nodes.{name}"))
            return
        ids = table.column(column)
        encoder = TableEncoder(config, table.key, self._config.base or ".")
        state = None if self._known is None else self._known.node_state(name)
        attributes = whole_table(encoder, table, state, lambda: ids, self._problems)
        if attributes is None:
            return
        step.rows = len(table)
        self._count_dropped(f"nodes.{name}", dropped, attributes)
        all_ids = ids
        if known_ids is not None and self._known is not None:
            all_ids, attributes = pa.concat_arrays([known_ids, ids]), self._known.with_known_nodes(name, attributes)
        self._ids[name], self._attributes[name] = NodeIds(name, all_ids, has_table=True, open=created), attributes
        if not created:
            self._write_nodes(name)
        seconds = time.perf_counter() - started
        self._say(
            f"{name}: {counted(len(table), 'node')} from {counted(len(plan.files), 'file')} ({seconds:.1f} s)"
            + _listed_counts(_counts(dropped))
        )

    def _read_edges(self, edge: EdgeConfig, plan: TablePlan, step: Step) -> EdgeRows | None:
        """Write the edges when the ids of both ends are final; return them when they must wait."""
        started = time.perf_counter()
        table = read_table(plan, self._problems)
        if table is None:
            return None
        name = edge_name(edge.edge_type)
        self._note_table(f"edges.{name}", table)
        state = None if self._known is None else self._known.edge_state(edge)
        rows = encode_edges(table, edge, self._ids, state, self._config.base or ".", self._problems)
        del table
        if rows is None or self._problems:
            return None
        step.rows = len(rows)
        self._count_dropped(f"edges.{name}", rows.dropped, rows.attributes)
        waits = self._ids[edge.source].open or self._ids[edge.target].open
        repeated = 0 if waits else self._write_edges(rows)
        seconds = time.perf_counter() - started
        self._say(
            f"{name}: {counted(len(rows), 'edge')} from {counted(rows.files, 'file')} ({seconds:.1f} s)"
            + _listed_counts({**_counts(rows.dropped), "repeated (kept)": repeated})
            + (": the table is empty" if len(rows) == 0 and not rows.dropped else "")
        )
        return rows if waits else None

    def _note_table(self, key: str, table: Table) -> None:
        files = table.plan.files
        self._trace.table(key, files=len(files), rows=len(table), size=sum(file.size for file in files))
        for column in table.data.schema.names:
            self._trace.nulls(key, column, table.data.column(column).null_count)

    def _count_dropped(self, what: str, dropped: dict[str, Dropped], attributes: Attributes) -> None:
        for reason, rows in dropped.items():
            if rows.count:
                self._dropped[f"{what}: {reason}"] = rows.count
                self._trace.dropped(what, reason, rows.count, rows.examples)
        for label, count in attributes.lost_splits.items():
            self._dropped[f"{what}.labels.{label}: split without a label"] = count
            self._trace.dropped(f"{what}.labels.{label}", "split without a label", count)

    def _write_nodes(self, name: str) -> None:
        ids, attributes = self._ids[name], self._attributes.pop(name)
        created = 0 if ids.created is None else len(ids.created)
        columns = attributes.with_empty_rows(created) if created else attributes.columns
        id_column, id_type = ids.column(self._untyped(name))
        self._write(f"nodes/{self._node_files[name,]}", {ID_COLUMN: id_column, **columns})
        self._node_schemas[name] = NodeTypeSchema(
            count=ids.count,
            id_type=id_type,
            features=attributes.features,
            text=attributes.text,
            image=attributes.image,
            labels=attributes.labels,
        )
        self._trace.created(f"nodes.{name}", created)
        if created or ids.from_table is None:
            self._say(f"{name}: {counted(created, 'node')} added from edges")

    def _untyped(self, name: str) -> bool:
        """Do only CSV files name this node type?"""
        column = self._config.nodes[name].id
        if name in self._node_plans and column is not None:
            return self._node_plans[name].columns[column].untyped
        for edge, plan in zip(self._config.edges, self._edge_plans, strict=True):
            for end, end_column in ((edge.source, edge.source_id), (edge.target, edge.target_id)):
                if end == name and not plan.columns[end_column].untyped:
                    return False
        return True

    def _write_edges(self, rows: EdgeRows) -> int:
        edge, source_ids, target_ids = rows.config, self._ids[rows.config.source], self._ids[rows.config.target]
        source, target = source_ids.resolve(rows.source), target_ids.resolve(rows.target)
        if self._known is not None and self._known.adds:
            first = self._known.edge_rows(edge.edge_type)
            source, target = np.append(first[SOURCE_COLUMN], source), np.append(first[TARGET_COLUMN], target)
            rows.attributes = self._known.with_known_edges(edge.edge_type, rows.attributes)
        repeated = self._write_one(edge.edge_type, source, target, rows, edge.reverse_type, False)
        if edge.reverse_type is not None:
            self._write_one(edge.reverse_type, target, source, rows, edge.edge_type, True)
        return repeated

    def _write_one(
        self,
        edge_type: EdgeType,
        source: np.ndarray,
        target: np.ndarray,
        rows: EdgeRows,
        reverse: EdgeType | None,
        is_reverse: bool,
    ) -> int:
        counts = (self._ids[edge_type[0]].count, self._ids[edge_type[2]].count)
        edges = sort_edges(source, target, *counts, rows.attributes)
        file = f"edges/{self._edge_files[edge_type]}"
        self._write(file, edges.columns)
        self._write(indptr_file(file), {"indptr": edges.indptr})
        self._edge_schemas[edge_type] = EdgeTypeSchema(
            edge_type=edge_type,
            count=len(source),
            features=rows.attributes.features,
            text=rows.attributes.text,
            labels=rows.attributes.labels,
            split_counts=rows.attributes.split_counts,
            fitted_split=rows.attributes.fitted_split,
            reverse=reverse,
            is_reverse=is_reverse,
        )
        return edges.repeated

    def _write(self, file: str, columns: Mapping[str, np.ndarray | pa.Array]) -> None:
        self._bytes += write_columns(self._folder / _FOLDER / file, columns)

    def _result(self) -> Construction:
        nodes = {name: self._node_schemas[name] for name in self._config.nodes}
        node_ranges = {name: (0, node.count) for name, node in nodes.items()}
        node_files = {name: f"nodes/{self._node_files[name,]}" for name in nodes}
        edge_files = {edge_name(t): f"edges/{self._edge_files[t]}" for t in self._config.edge_types()}
        partition = PartitionSchema(
            folder=_FOLDER,
            node_ranges=node_ranges,
            node_files=node_files,
            edge_files=edge_files,
            bytes=self._bytes,
        )
        return Construction(
            nodes=nodes,
            edges=[self._edge_schemas[t] for t in self._config.edge_types()],
            partitions=[partition],
            dropped=self._dropped,
        )


def _counts(dropped: dict[str, Dropped]) -> dict[str, int]:
    return {reason: rows.count for reason, rows in dropped.items()}


def _listed_counts(notes: dict[str, int]) -> str:
    """', 12 repeated (kept)' for what is not zero"""
    return "".join(f", {count:,} {what}" for what, count in notes.items() if count)
