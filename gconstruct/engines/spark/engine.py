"""The order of construction with Spark: ids of node tables, ends of edges, created nodes, numbers, files.

In: GraphConfig and an empty folder that all executors share. Out: the partitions' files, each written by one task, and
their part of the manifest. The driver holds counts of pieces and what the manifest needs, never rows.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gconstruct.encoding import Encoded
from gconstruct.engines.base import Progress
from gconstruct.engines.spark.build_edges import EdgeBuild
from gconstruct.engines.spark.build_nodes import NodeBuild
from gconstruct.engines.spark.cluster import Cluster
from gconstruct.engines.spark.degrees import degrees_of, is_degree
from gconstruct.engines.spark.files import GraphFolder, Written
from gconstruct.engines.spark.ids import Buckets
from gconstruct.engines.spark.parts import is_of_rows
from gconstruct.engines.spark.session import spark_context
from gconstruct.engines.spark.shared_folder import check_shared
from gconstruct.known import KnownGraph, known_graph
from gconstruct.manifest import Construction
from gconstruct.partitioners.base import PARTITIONERS
from gconstruct.partitioners.columns import ColumnPartitioner, check_by
from gconstruct.problems import Problems, counted
from gconstruct.report.trace import Trace
from gconstruct.structure.add import known_states, structure_features
from gconstruct.tables.plan import ColumnPlan, TablePlan, plan_tables
from gconstruct.write import file_names
from graphstorm_like.config.base import edge_name
from graphstorm_like.config.graph import EdgeConfig, GraphConfig
from graphstorm_like.errors import ConfigError
from graphstorm_like.graph.schema import PartitionSchema

if TYPE_CHECKING:
    from gconstruct.engines.spark.cluster import Rows

BUCKET_BYTES = 128 << 20
"""Size of the tables for which a node type gets one bucket of ids"""
_MAX_BUCKETS = 4096


class SparkEngine:
    """One construction. `check` reads only headers; `run` starts Spark and does the work."""

    writes_partitions = writes_urls = True

    def __init__(self, config: GraphConfig, progress: Progress) -> None:
        self._config, self._say = config, progress
        self._problems = Problems()
        self._node_plans: dict[str, TablePlan] = {}
        self._edge_plans: list[TablePlan] = []
        self._known: KnownGraph | None = None

    def check(self) -> None:
        """Report missing files, wrong names and wrong types before any folder is made or Spark starts. Raises
        ConfigError for what only one machine can do."""
        if problems := list(needs_one_machine(self._config)):
            raise ConfigError(problems)
        if self._config.like is not None:
            self._known = known_graph(self._config)
            self._known.check(self._problems)
        self._node_plans, self._edge_plans = plan_tables(self._config, self._problems)
        plans = (*self._node_plans.values(), *self._edge_plans)
        joined = [join.plan for plan in plans for join in plan.joins]
        for file in (file for plan in (*plans, *joined) for file in plan.files):
            if file.source is not None:
                raise ConfigError(
                    f"graph.engine: spark reads files, several times (got {file.path}). Write its rows to Parquet "
                    "files first, or set graph.engine: arrow"
                )
        size = sum(file.size for plan in plans for file in plan.files)
        self._say(f"reading {counted(sum(len(plan.files) for plan in plans), 'file')}, {size / 1e6:,.1f} MB with Spark")

    def run(self, folder: Path, trace: Trace) -> Construction:
        """Read everything, and write all partitions into `folder`, or to the URL of the configuration."""
        place = GraphFolder(str(self._config.path) if in_store(self._config) else str(folder))
        with spark_context(self._config.spark) as context:
            cluster = Cluster(context)
            self._say(f"Spark {context.version} at {context.master}, {counted(cluster.parallelism, 'task')} at a time")
            if not place.is_url:
                check_shared(cluster, folder, str(self._config.path))
            build = _Build(self._config, self._node_plans, self._edge_plans, cluster, place, self._say, trace)
            if self._known is not None:
                build.take_state_of(self._known)
            return build.run()


class _Build:
    """One run."""

    def __init__(
        self,
        config: GraphConfig,
        node_plans: Mapping[str, TablePlan],
        edge_plans: Sequence[TablePlan],
        cluster: Cluster,
        folder: GraphFolder,
        say: Progress,
        trace: Trace,
    ) -> None:
        self._config, self._cluster, self._say, self._trace = config, cluster, say, trace
        self._problems = Problems()
        self._folder = folder
        self._edge_plans = edge_plans
        self._known: KnownGraph | None = None
        self._node_files = file_names((name,) for name in config.nodes)
        self._edge_files = file_names(config.edge_types())
        self._written: dict[str, list[Written]] = {}
        """By node type, or name of the edge type: by partition"""
        self._dropped: dict[str, int] = {}
        buckets = _buckets(config, node_plans, edge_plans, cluster.parallelism)
        self._receivers = sum(of_type.count for of_type in buckets.values())
        known = known_states(config)
        opens = {name for edge in config.edges for name in _opened_by(edge, node_plans)}
        self._nodes = {
            name: NodeBuild(
                cluster,
                config,
                name,
                (node_plans.get(name), _id_plan(config, name, node_plans, edge_plans)),
                buckets[name],
                self._receivers,
                name in opens or name not in node_plans,
                degrees_of(config, name, known),
            )
            for name in config.nodes
        }

    def take_state_of(self, known: KnownGraph) -> None:
        """Fit nothing: the state of a known graph counts."""
        self._known = known
        for name, node in self._nodes.items():
            node.take_state(known.node_state(name))

    def run(self) -> Construction:
        """All of it."""
        self._folder.make(self._config.partitions.count)
        for node in self._nodes.values():
            with self._trace.step(f"nodes.{node.name}") as step:
                self._read_nodes(node)
                step.rows = node.count
        self._problems.raise_if_any()
        self._check_by()
        edges = self._read_edges()
        self._problems.raise_if_any()
        for edge in edges:
            with self._trace.step(f"edges.{edge_name(edge.config.edge_type)}: sort and write") as step:
                self._write_edges(edge)
                step.rows = edge.rows
        self._problems.raise_if_any()
        return self._result(edges)

    def _read_nodes(self, node: NodeBuild) -> None:
        if not node.has_table:
            return
        started = time.perf_counter()
        node.check_ids(self._problems, self._trace)
        node.fit(self._problems)
        if self._problems:
            return
        if not node.waits:
            self._write_nodes(node)
        self._say(
            f"{node.name}: {counted(node.in_table, 'node')} from {counted(len(node.table.plan.files), 'file')} "
            f"({time.perf_counter() - started:.1f} s)" + _listed_counts(node.dropped)
        )

    def _check_by(self) -> None:
        """Whether the columns are there that partitions go by: the widths of features are known now."""
        partitions = self._config.partitions
        method = PARTITIONERS.of(partitions)(partitions)
        if partitions.count > 1 and isinstance(method, ColumnPartitioner):
            check_by({name: node.described(Encoded()) for name, node in self._nodes.items()}, method.by)

    def _write_nodes(self, node: NodeBuild) -> None:
        files = self._files(f"nodes/{self._node_files[node.name,]}")
        self._written[node.name] = node.write(self._folder, files, self._problems, self._trace)
        self._count_dropped(f"nodes.{node.name}", node.dropped, node.lost_splits)
        self._trace.created(f"nodes.{node.name}", node.count - node.in_table)
        if node.is_open:
            self._say(f"{node.name}: {counted(node.count - node.in_table, 'node')} added from edges")
        if node.degrees is not None:
            self._say(f"{node.name}: {', '.join(node.degrees.features)} from edges")

    def _files(self, file: str) -> tuple[str, ...]:
        return tuple(f"part-{partition}/{file}" for partition in range(self._config.partitions.count))

    def _read_edges(self) -> list[EdgeBuild]:
        """Find the ends of all edges, write the nodes that they add, and fit attributes."""
        indexes = {n.name: n.index(n.numbering(in_table=n.is_open)) for n in self._nodes.values()}
        edges = []
        for config, plan in zip(self._config.edges, self._edge_plans, strict=True):
            ends = (self._nodes[config.source], self._nodes[config.target])
            edge = EdgeBuild(self._cluster, config, plan, ends, self._receivers, self._config.base or ".")
            if self._known is not None:
                edge.take_state(self._known.edge_state(config))
            with self._trace.step(edge.key) as step:
                before = len(self._problems)
                if edge.ask(self._problems, self._trace):
                    edge.check(edge.find(indexes), self._problems, self._trace)
                    if len(self._problems) == before:
                        edge.check_repeated(self._problems, self._trace)
                    if len(self._problems) == before:
                        edge.fit(self._problems)
                step.rows = edge.rows
            edges.append(edge)
        if not self._problems:
            self._number_created(edges, indexes)
            self._write_waiting(edges)
        return edges

    def _number_created(self, edges: Sequence[EdgeBuild], indexes: dict[str, Rows]) -> None:
        """Number the nodes that edges add; then all ends of edges have their final numbers."""
        for node in self._nodes.values():
            if node.is_open:
                with self._trace.step(f"nodes.{node.name}: number") as step:
                    wanted = [edge.wanted for edge in edges if edge.wanted is not None]
                    if wanted:
                        node.create(self._cluster.together(*wanted))
                    indexes[node.name] = node.index(node.numbering())
                    step.rows = node.count
        for edge in edges:
            if edge.is_open:
                edge.find(indexes)
            edge.find_negatives(indexes)

    def _write_waiting(self, edges: Sequence[EdgeBuild]) -> None:
        for node in self._nodes.values():
            if node.waits:
                with self._trace.step(f"nodes.{node.name}: write") as step:
                    node.count_degrees(edges)
                    self._write_nodes(node)
                    step.rows = node.count

    def _write_edges(self, edge: EdgeBuild) -> None:
        started = time.perf_counter()
        files = {t: self._files(f"edges/{self._edge_files[t]}") for t in self._config.edge_types()}
        for edge_type, written in edge.write(self._folder, files, self._problems, self._trace).items():
            self._written[edge_name(edge_type)] = written
        self._count_dropped(edge.key, edge.dropped, edge.lost_splits)
        if edge.unknown_negatives:
            self._dropped[f"{edge.key}.hard_negatives: unknown node"] = edge.unknown_negatives
        seconds = time.perf_counter() - started
        self._say(
            f"{edge_name(edge.config.edge_type)}: {counted(edge.rows, 'edge')} from {counted(edge.files, 'file')} "
            f"({seconds:.1f} s)" + _listed_counts({**edge.dropped, "repeated (kept)": edge.repeated})
        )
        if edge.config.hard_negatives is not None:
            self._say(f"{edge_name(edge.config.edge_type)}: {counted(edge.with_negatives, 'edge')} with hard negatives")

    def _count_dropped(self, what: str, dropped: Mapping[str, int], lost_splits: Mapping[str, int]) -> None:
        for reason, count in dropped.items():
            self._dropped[f"{what}: {reason}"] = count
        for label, count in lost_splits.items():
            self._dropped[f"{what}.labels.{label}: split without a label"] = count
            self._trace.dropped(f"{what}.labels.{label}", "split without a label", count)

    def _result(self, edges: Sequence[EdgeBuild]) -> Construction:
        nodes = {}
        for name, node in self._nodes.items():
            assert node.schema is not None
            nodes[name] = node.schema
        by_type = {edge_type: schema for edge in edges for edge_type, schema in edge.schemas.items()}
        schemas = [by_type[edge_type] for edge_type in self._config.edge_types()]
        count = self._config.partitions.count
        partitions = [self._partition(number) for number in range(count)]
        if count > 1:
            local = sum(w.local for schema in schemas for w in self._written[edge_name(schema.edge_type)])
            total = sum(schema.count for schema in schemas)
            self._say(f"{local / max(total, 1):.1%} of the edges have their source in their own partition")
        hashes = {file: mark for written in self._written.values() for w in written for file, mark in w.hashes.items()}
        return Construction(nodes, schemas, partitions, self._dropped, hashes)

    def _partition(self, number: int) -> PartitionSchema:
        starts = {name: node.numbering().partition_starts for name, node in self._nodes.items()}
        edge_ranges = {}
        names = [edge_name(edge_type) for edge_type in self._config.edge_types()]
        for name in names if self._config.partitions.count > 1 else []:
            before = sum(written.rows for written in self._written[name][:number])
            edge_ranges[name] = (before, before + self._written[name][number].rows)
        return PartitionSchema(
            folder=f"part-{number}",
            node_ranges={name: (of_type[number], of_type[number + 1]) for name, of_type in starts.items()},
            edge_ranges=edge_ranges,
            node_files={name: f"nodes/{self._node_files[name,]}" for name in self._nodes},
            edge_files={edge_name(t): f"edges/{self._edge_files[t]}" for t in self._config.edge_types()},
            bytes=sum(written[number].bytes for written in self._written.values()),
        )


def in_store(config: GraphConfig) -> bool:
    """Whether the graph goes to a URL."""
    return config.path is not None and "://" in config.path


def needs_one_machine(config: GraphConfig) -> Iterator[str]:
    """What executors cannot do with pieces of tables."""
    partitions = config.partitions
    whole = "Construct one partition in a local folder, and divide it on one machine: gsl partition"
    if partitions.count > 1 and not is_of_rows(partitions):
        yield (
            f"graph.partitions.method: must be random, hash or range with graph.engine: spark (got "
            f"{partitions.method!r}, which looks at all edges). {whole} --method {partitions.method}"
        )
    by = getattr(partitions, "by", ())
    wanted = {by} if isinstance(by, str) else set(by.values() if isinstance(by, dict) else ())
    for name, features in structure_features(config).items():
        others = [feature for feature, of_edges in features.items() if not is_degree(of_edges)]
        if others and (partitions.count > 1 or in_store(config)):
            several = "a URL" if in_store(config) else "several partitions"
            yield (
                f"graph.nodes.{name}.features: must be made of columns or degrees with graph.engine: spark and "
                f"{several} (got {', '.join(others)}, for which all edges must be in one place). {whole}"
            )
        if partitions.count > 1 and not wanted.isdisjoint(features):
            yield (
                f"graph.partitions.by: must be a column of tables with graph.engine: spark (got "
                f"{', '.join(sorted(wanted.intersection(features)))}, which edges give). {whole} --method "
                f"{partitions.method}"
            )
    if config.add_to is not None:
        yield (
            f"graph.add_to: must be left out with graph.engine: spark, whose executors read tables, not graph folders "
            f"(got {config.add_to!r}). Set graph.engine: arrow, or construct a graph of its own with graph.like"
        )


def _opened_by(edge: EdgeConfig, plans: Mapping[str, TablePlan]) -> set[str]:
    """Node types to which an edge table may add nodes."""
    ends = {edge.source, edge.target}
    return ends if edge.on_unknown_node == "create" else {name for name in ends if name not in plans}


def _id_plan(
    config: GraphConfig, name: str, node_plans: Mapping[str, TablePlan], edge_plans: Sequence[TablePlan]
) -> ColumnPlan:
    """How the ids of a node type are read; untyped: only CSV files name it."""
    column = config.nodes[name].id
    if name in node_plans and column is not None:
        return node_plans[name].columns[column]
    plans = []
    for edge, plan in zip(config.edges, edge_plans, strict=True):
        ends = ((edge.source, edge.source_id), (edge.target, edge.target_id))
        plans += [plan.columns[column] for end, column in ends if end == name]
    return next((plan for plan in plans if not plan.untyped), plans[0])


def _buckets(
    config: GraphConfig, node_plans: Mapping[str, TablePlan], edge_plans: Sequence[TablePlan], parallelism: int
) -> dict[str, Buckets]:
    """Buckets by node type: as many as tasks run at one time, and more for large tables."""
    buckets, first = {}, 0
    for name in config.nodes:
        plans = [
            plan for edge, plan in zip(config.edges, edge_plans, strict=True) if name in (edge.source, edge.target)
        ]
        if name in node_plans:
            plans = [node_plans[name]]
        size = sum(file.size for plan in plans for file in plan.files)
        count = min(_MAX_BUCKETS, max(parallelism, size // BUCKET_BYTES))
        buckets[name] = Buckets(first, count)
        first += count
    return buckets


def _listed_counts(notes: Mapping[str, int]) -> str:
    """', 12 repeated (kept)' for what is not zero"""
    return "".join(f", {count:,} {what}" for what, count in notes.items() if count)
