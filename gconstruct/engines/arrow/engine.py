"""The order of construction: node tables, edge tables, nodes that edges add, files.

In: GraphConfig and an empty folder. Out: the files of one partition and their part of the manifest. Tables are streamed
in batches; what `graph.memory` cannot hold goes to files in `<folder>/scratch`, and the graph does not depend on it.
Types whose counts cannot change any more are written immediately; only types whose nodes come from edges wait until all
edge tables are read.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from gconstruct.csc import position_dtype
from gconstruct.engines.arrow.edges import EdgeRows, EdgeTable
from gconstruct.engines.arrow.nodes import Nodes
from gconstruct.engines.arrow.sort import write_sorted
from gconstruct.engines.arrow.work import DroppedRows, Work
from gconstruct.engines.base import Progress
from gconstruct.inputs import InputFile
from gconstruct.known import KnownGraph, known_graph
from gconstruct.manifest import Construction
from gconstruct.problems import Problems, counted
from gconstruct.report.trace import Step, Trace
from gconstruct.spill.budget import Memory, available_memory, returning_pool
from gconstruct.spill.edge_sort import EdgeSpool
from gconstruct.spill.ordered import cores
from gconstruct.tables.plan import TablePlan, plan_tables
from gconstruct.write import file_names
from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.graph import EdgeConfig, GraphConfig
from graphstorm_like.graph.schema import EdgeTypeSchema, NodeTypeSchema, PartitionSchema

_FOLDER = "part-0"
_SCRATCH = "scratch"
_PROCESS = 150 << 20  # Python and its libraries
_TEXT, _PACKED = 3, 6
"""Memory per byte of a file: measured, with ids of strings, 7 for Parquet and 3 for CSV when all of it fits"""


class ArrowEngine:
    """One construction. `check` reads only headers; `run` does the work."""

    writes_partitions = writes_urls = False

    def __init__(self, config: GraphConfig, progress: Progress) -> None:
        self._config = config
        self._say = progress
        self._problems = Problems()
        self._known: KnownGraph | None = None
        self._node_plans: dict[str, TablePlan] = {}
        self._edge_plans: list[TablePlan] = []
        self._nodes: dict[str, Nodes] = {}
        self._node_schemas: dict[str, NodeTypeSchema] = {}
        self._edge_schemas: dict[EdgeType, EdgeTypeSchema] = {}
        self._node_files = file_names((name,) for name in config.nodes)
        self._edge_files = file_names(config.edge_types())

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
        self._say(f"reading {counted(num_files, 'file')}, {size / 1e6:,.1f} MB; {self._estimate()}")

    def run(self, folder: Path, trace: Trace) -> Construction:
        """Read everything, and write a partition into `folder`."""
        with returning_pool():
            return self._run(folder, trace)

    def _run(self, folder: Path, trace: Trace) -> Construction:
        for sub in ("nodes", "edges"):
            (folder / _FOLDER / sub).mkdir(parents=True)
        work = self._work(folder, trace)
        work.scratch.mkdir()
        for name in self._config.nodes:
            self._nodes[name] = self._node_type(name, work)
            with trace.step(f"nodes.{name}") as step:
                self._read_nodes(self._nodes[name], step, work)
            pa.default_memory_pool().release_unused()
        self._problems.raise_if_any()
        waiting = []
        for edge, plan in zip(self._config.edges, self._edge_plans, strict=True):
            with trace.step(f"edges.{edge_name(edge.edge_type)}") as step:
                rows = self._read_edges(edge, plan, step, work)
            if rows is not None:
                waiting.append(rows)
        self._problems.raise_if_any()
        for name, nodes in self._nodes.items():
            if nodes.open:
                with trace.step(f"nodes.{name}: number and write") as step:
                    self._write_nodes(nodes, trace)
                    step.rows = nodes.ids.count
        for rows in waiting:
            with trace.step(f"edges.{edge_name(rows.config.edge_type)}: sort and write") as step:
                step.rows = rows.rows
                self._write_edges(rows, work)
        shutil.rmtree(work.scratch)
        return self._result(work)

    def _estimate(self) -> str:
        """What construction will take, from the sizes of the files: columns in files of a binary format are packed."""
        files = [file for plan in (*self._node_plans.values(), *self._edge_plans) for file in plan.files]
        needed = _PROCESS + sum(file.size * (_TEXT if _is_text(file) else _PACKED) for file in files)
        limit = self._memory()
        spilled = "" if needed <= limit else f", and {(needed - limit) / 1e9:,.1f} GB or less of temporary files"
        return f"needs about {min(needed, limit) / 1e9:,.1f} of {limit / 1e9:,.1f} GB of memory{spilled}"

    def _memory(self) -> int:
        return self._config.memory or available_memory() // 2

    def _work(self, folder: Path, trace: Trace) -> Work:
        waiting = sum(self._is_open(edge.source) or self._is_open(edge.target) for edge in self._config.edges)
        memory = Memory.of(self._memory(), waiting, cores())
        return Work(
            base=self._config.base or ".",
            folder=folder / _FOLDER,
            scratch=folder / _SCRATCH,
            memory=memory,
            threads=cores(),
            trace=trace,
            problems=self._problems,
        )

    def _is_open(self, name: str) -> bool:
        """Whether edges may add nodes of this type."""
        added = (name in (e.source, e.target) and e.on_unknown_node == "create" for e in self._config.edges)
        return name not in self._node_plans or any(added)

    def _node_type(self, name: str, work: Work) -> Nodes:
        config, plan = self._config.nodes[name], self._node_plans.get(name)
        columns = [] if plan is None or config.id is None else [plan.columns[config.id]]
        for edge, edge_plan in zip(self._config.edges, self._edge_plans, strict=True):
            for end, column in ((edge.source, edge.source_id), (edge.target, edge.target_id)):
                columns += [edge_plan.columns[column]] if end == name else []
        id_type = columns[0].type if columns else pa.large_string()
        # Do only CSV files name the nodes?
        untyped = columns[0].untyped if plan is not None else all(column.untyped for column in columns)
        file = f"nodes/{self._node_files[name,]}"
        return Nodes(name, config, plan, self._known, id_type, untyped, self._is_open(name), file, work)

    def _read_nodes(self, nodes: Nodes, step: Step, work: Work) -> None:
        started = time.perf_counter()
        if not nodes.read(step) or not nodes.has_table:
            return
        step.rows = nodes.rows
        work.count_dropped(f"nodes.{nodes.name}", nodes.dropped.by_reason, nodes.attributes.lost_splits)
        if not nodes.open:
            self._write_nodes(nodes, work.trace)
        seconds, files = time.perf_counter() - started, len(self._node_plans[nodes.name].files)
        self._say(
            f"{nodes.name}: {counted(nodes.rows, 'node')} from {counted(files, 'file')} ({seconds:.1f} s)"
            + _listed_counts(_counts(nodes.dropped))
        )

    def _write_nodes(self, nodes: Nodes, trace: Trace) -> None:
        self._node_schemas[nodes.name] = nodes.write()
        trace.created(f"nodes.{nodes.name}", nodes.created)
        if nodes.created or nodes.is_empty:
            self._say(f"{nodes.name}: {counted(nodes.created, 'node')} added from edges")

    def _read_edges(self, edge: EdgeConfig, plan: TablePlan, step: Step, work: Work) -> EdgeRows | None:
        """Write the edges when the ids of both ends are final; return them when they must wait."""
        started = time.perf_counter()
        name, ends = edge_name(edge.edge_type), (self._nodes[edge.source], self._nodes[edge.target])
        table = EdgeTable(edge, plan, ends, self._known, f"edges.{name}", work)
        waits = any(nodes.open for nodes in ends)
        # Nobody knows yet how many nodes the edges add.
        dtype = np.int64 if waits else position_dtype(*(nodes.ids.count for nodes in ends))
        rows = table.read(EdgeSpool(work.scratch_path(), work.memory.edges, dtype), step)
        if rows is None or len(self._problems):
            return None
        step.rows = rows.rows
        work.count_dropped(f"edges.{name}", table.dropped.by_reason, rows.attributes.lost_splits)
        repeated = 0 if waits else self._write_edges(rows, work)
        seconds = time.perf_counter() - started
        dropped = _counts(table.dropped)
        self._say(
            f"{name}: {counted(rows.rows, 'edge')} from {counted(len(plan.files), 'file')} ({seconds:.1f} s)"
            + _listed_counts({**dropped, "repeated (kept)": repeated})
            + (": the table is empty" if rows.rows == 0 and not dropped else "")
        )
        return rows if waits else None

    def _write_edges(self, rows: EdgeRows, work: Work) -> int:
        edge = rows.config
        types = [edge.edge_type] if edge.reverse_type is None else [edge.edge_type, edge.reverse_type]
        files = [f"edges/{self._edge_files[edge_type]}" for edge_type in types]
        count = len(rows.spool)
        repeated = write_sorted(rows, (self._nodes[edge.source], self._nodes[edge.target]), files, work)
        for edge_type, other in zip(types, [*types[1:], types[0]], strict=True):
            self._edge_schemas[edge_type] = EdgeTypeSchema(
                edge_type=edge_type,
                count=count,
                features=rows.attributes.features,
                text=rows.attributes.text,
                labels=rows.attributes.labels,
                time=rows.attributes.time,
                split_counts=rows.attributes.split_counts,
                fitted_split=rows.attributes.fitted_split,
                reverse=other if len(types) > 1 else None,
                is_reverse=edge_type != edge.edge_type,
            )
        return repeated

    def _result(self, work: Work) -> Construction:
        nodes = {name: self._node_schemas[name] for name in self._config.nodes}
        node_ranges = {name: (0, node.count) for name, node in nodes.items()}
        node_files = {name: f"nodes/{self._node_files[name,]}" for name in nodes}
        edge_files = {edge_name(t): f"edges/{self._edge_files[t]}" for t in self._config.edge_types()}
        partition = PartitionSchema(
            folder=_FOLDER,
            node_ranges=node_ranges,
            node_files=node_files,
            edge_files=edge_files,
            bytes=work.bytes,
        )
        return Construction(
            nodes=nodes,
            edges=[self._edge_schemas[t] for t in self._config.edge_types()],
            partitions=[partition],
            dropped=work.dropped,
        )


def _is_text(file: InputFile) -> bool:
    return file.path.lower().endswith((".csv", ".tsv", ".jsonl", ".json"))


def _counts(dropped: DroppedRows) -> dict[str, int]:
    return {reason: rows.count for reason, rows in dropped.by_reason.items()}


def _listed_counts(notes: dict[str, int]) -> str:
    """', 12 repeated (kept)' for what is not zero"""
    return "".join(f", {count:,} {what}" for what, count in notes.items() if count)
