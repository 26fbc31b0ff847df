"""One edge table, as the driver sees it: which jobs run, and what they tell of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from gconstruct import rules
from gconstruct.encoding import TableState
from gconstruct.engines.spark.blobs import SOURCE, TARGET
from gconstruct.engines.spark.build_nodes import NodeBuild, Places, fit
from gconstruct.engines.spark.cluster import Cluster
from gconstruct.engines.spark.count_degrees import EdgeDegrees
from gconstruct.engines.spark.degrees import End
from gconstruct.engines.spark.edges import EdgeRows, EdgeStages
from gconstruct.engines.spark.ends import EndStages
from gconstruct.engines.spark.files import BothDirections, EdgeFiles, GraphFolder, Written
from gconstruct.engines.spark.negatives import NegativeStages
from gconstruct.engines.spark.nodes import Fitting
from gconstruct.engines.spark.numbering import Numbering
from gconstruct.engines.spark.pieces import WorkTable
from gconstruct.engines.spark.repeated import RepeatedEdges
from gconstruct.engines.spark.report import Report
from gconstruct.hard_negatives import check_unknown
from gconstruct.problems import EXAMPLES, Problems
from gconstruct.report.trace import KEPT_EXAMPLES, Example, Trace
from gconstruct.tables.plan import TablePlan
from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.graph import EdgeConfig
from graphstorm_like.graph.schema import EdgeTypeSchema

if TYPE_CHECKING:
    from gconstruct.engines.spark.cluster import Rows


class EdgeBuild:
    """The edges of one type, and of its reverse."""

    def __init__(
        self,
        cluster: Cluster,
        config: EdgeConfig,
        plan: TablePlan,
        ends: tuple[NodeBuild, NodeBuild],
        receivers: int,
        base: str,
    ) -> None:
        """ends: the node types of sources and targets. receivers: buckets of all node types. base: where relative paths
        start."""
        self.config, self.key = config, f"edges.{edge_name(config.edge_type)}"
        self.dropped: dict[str, int] = {}
        """Edges that were left out, by reason"""
        self.lost_splits: dict[str, int] = {}
        self.schemas: dict[EdgeType, EdgeTypeSchema] = {}
        self.rows = 0
        """Edges that stay"""
        self.files = len(plan.files)
        self.wanted: Rows | None = None
        """Ids that become nodes, in the buckets of all node types"""
        self.repeated = 0
        self.unknown_negatives = 0
        """Hard negatives that are no node"""
        self.with_negatives = 0
        """Edges with hard negatives that are nodes"""
        self._cluster, self._receivers, self._ends = cluster, receivers, ends
        may_create = tuple(not end.has_table or config.on_unknown_node == "create" for end in ends)
        table = WorkTable.of(plan)
        buckets = (ends[SOURCE].buckets, ends[TARGET].buckets)
        in_table = (ends[SOURCE].in_table, ends[TARGET].in_table)
        stages = EndStages(table, config, self.key, buckets, (may_create[0], may_create[1]), in_table)
        self._stages = EdgeStages(stages, Fitting(table, config, base))
        self._requests: Rows | None = None
        self._answers: Rows | None = None
        self._negatives: Rows | None = None
        self._left_out: Rows | None = None
        self.state: TableState | None = None

    @property
    def is_open(self) -> bool:
        """Whether edges, these or others, may add nodes to one of its ends: their numbers are not final before."""
        return any(end.is_open for end in self._ends)

    def ask(self, problems: Problems, trace: Trace) -> bool:
        """Send the ids of both ends to their buckets. False: `problems` says what is wrong."""
        ends = self._stages.ends
        self._requests = self._cluster.send(self._cluster.over(ends.table.pieces, ends.ask), self._receivers)
        report = self._cluster.report(self._requests)
        problems.add_all(report.problems)
        trace.merge(report.trace)
        if len(report.problems):
            return False
        size = sum(file.size for file in ends.table.plan.files)
        trace.table(self.key, files=self.files, rows=report.counts["rows"], size=size)
        self._count(report, "null end")
        self._count(report, "unknown relation")
        self.rows = sum(report.by_piece.values())
        return True

    def _count(self, report: Report, reason: str) -> None:
        if report.counts[reason]:
            self.dropped[reason] = report.counts[reason]

    def find(self, indexes: dict[str, Rows]) -> Report:
        """Look up what was asked; indexes: ids and numbers by node type."""
        assert self._requests is not None
        of_ends = dict.fromkeys(end.name for end in self._ends)
        asked = self._cluster.together(*(indexes[name] for name in of_ends), self._requests)
        starts = (self._ends[SOURCE].starts, self._ends[TARGET].starts)
        found = self._cluster.run(asked, partial(self._stages.ends.answer, starts))
        self._answers = self._cluster.send(found, self._stages.ends.table.pieces)
        return self._cluster.report(self._answers)

    def check(self, found: Report, problems: Problems, trace: Trace) -> None:
        """What becomes of ids that are not in the index: they become nodes, are left out, or are a problem."""
        missing = [found.counts["missing", side] for side in (SOURCE, TARGET)]
        if not any(missing):
            return
        ends = self._stages.ends
        assert self._answers is not None
        self.wanted = self._cluster.send(self._cluster.run(self._answers, ends.check), self._receivers)
        report = self._cluster.report(self.wanted)
        if self.config.on_unknown_node != "drop":
            for side in (SOURCE, TARGET):
                self._note_unknown(side, report, missing[side], problems)
        trace.merge(report.trace)
        self._count(report, "unknown node")
        self.rows = sum(report.by_piece.values())

    def _note_unknown(self, side: int, report: Report, ids: int, problems: Problems) -> None:
        edges = report.counts["unknown", side]
        if not edges:
            return
        first: dict[object, tuple[str, int]] = {}
        for of_side, file, row, value in report.notes:
            if of_side == side:
                first.setdefault(value, (file, row))
        values = list(first)[:EXAMPLES]
        places = Places(first[value] for value in values)
        column = (self.config.source_id, self.config.target_id)[side]
        key, name = self._stages.ends.table.plan.key, self._ends[side].name
        problems.add(rules.unknown_nodes(places, key, column, name, range(len(values)), values, edges, ids))

    def check_repeated(self, problems: Problems, trace: Trace) -> None:
        """What becomes of edges that are there already: they are left out, or a problem."""
        if self.config.on_repeated_edge == "keep":
            return
        stages = RepeatedEdges(self._stages)
        buckets = self._cluster.parallelism
        ids = self._cluster.send(self._cluster.run(self._sent(), partial(stages.send, buckets)), buckets)
        found = self._cluster.run(ids, stages.find)
        sent = self._cluster.send(found, self._stages.ends.table.pieces)
        report = self._cluster.report(sent)
        count = report.counts["repeated"]
        if not count:
            return
        first = sorted(report.notes)[:KEPT_EXAMPLES]
        examples = self._cluster.collect(self._cluster.run(self._sent(), partial(stages.examples, first)))
        places, ends = Places(place for place, _ in examples), [of_edge for _, of_edge in examples]
        if self.config.on_repeated_edge == "error":
            shown = range(min(EXAMPLES, len(ends)))
            problem = rules.repeated_edges(places, self._stages.ends.table.plan.key, shown, ends)
            problems.add(replace(problem, count=count))
            return
        self._left_out = sent
        self.dropped["repeated edge"] = count
        self.rows -= count
        of_columns = [dict(zip(self._stages.ends.columns, of_edge, strict=False)) for of_edge in ends]
        rows = [Example.of(places, i, *values.values()) for i, values in enumerate(of_columns)]
        trace.dropped(self.key, "repeated edge", count, rows)

    def _sent(self) -> Rows:
        """What each piece has to know of its rows."""
        assert self._answers is not None
        return self._answers if self._left_out is None else self._cluster.together(self._answers, self._left_out)

    def take_state(self, known: TableState) -> None:
        """See NodeBuild."""
        self._stages = replace(self._stages, fitting=replace(self._stages.fitting, known=known))

    def fit(self, problems: Problems) -> None:
        """What the attributes need to know of all rows."""
        self.state = fit(self._cluster, self._stages.fitting, self._stages.fit, self._sent(), problems)

    def find_negatives(self, indexes: dict[str, Rows]) -> None:
        """Look up hard negatives, once the numbers of all nodes are final."""
        if self.config.hard_negatives is None:
            return
        target = self._ends[TARGET]
        stages = NegativeStages(self._stages.ends, target.index_type)
        asked = self._cluster.send(self._cluster.over(stages.ends.table.pieces, stages.ask), self._receivers)
        together = self._cluster.together(indexes[target.name], asked)
        answers = self._cluster.run(together, partial(stages.answer, target.starts))
        self._negatives = self._cluster.send(answers, stages.ends.table.pieces)

    def degrees(self, counted: tuple[End, ...], starts: Sequence[int]) -> Rows | None:
        """What its pieces send to the nodes of a type, see EdgeDegrees; None: nothing."""
        assert self.state is not None
        stages = EdgeDegrees.of(self._stages, self.state, counted, starts)
        return None if stages is None else self._cluster.run(self._sent(), stages.send)

    def write(
        self, folder: GraphFolder, files: dict[EdgeType, tuple[str, ...]], problems: Problems, trace: Trace
    ) -> dict[EdgeType, list[Written]]:
        """Write the files, by partition, and set `schemas`; nothing when there are problems."""
        assert self.state is not None
        numberings = (self._ends[SOURCE].numbering(), self._ends[TARGET].numbering())
        both = BothDirections(tuple(self._edge_files(folder, files, numberings)))
        has_negatives = self._negatives is not None
        rows = EdgeRows(self._stages, self.state, numberings, len(both.directions), self.rows, has_negatives)
        told = self._sent() if self._negatives is None else self._cluster.together(self._sent(), self._negatives)
        sent = self._cluster.send(self._cluster.run(told, rows.send), both.receivers, in_order=True)
        written = self._cluster.collect(self._cluster.run(sent, both.write))
        report: Report = written.pop()
        problems.add_all(report.problems)
        if len(report.problems):
            return {}
        self._check_negatives(report)
        trace.merge(report.trace)
        count = len(written) // len(both.directions)
        self.repeated = sum(file.repeated for file in written[:count])
        self._describe(report)
        return dict(zip(self._types(), [written[:count], written[count:]], strict=False))

    def _check_negatives(self, report: Report) -> None:
        self.unknown_negatives = report.counts["unknown negatives"]
        self.with_negatives = report.counts["with negatives"]
        if self.unknown_negatives:
            key = self._stages.ends.table.plan.key
            check_unknown(self.config, key, self.unknown_negatives, report.notes[0])

    def _types(self) -> list[EdgeType]:
        edge = self.config
        return [edge.edge_type] if edge.reverse_type is None else [edge.edge_type, edge.reverse_type]

    def _edge_files(
        self, folder: GraphFolder, files: dict[EdgeType, tuple[str, ...]], numberings: tuple[Numbering, Numbering]
    ) -> list[EdgeFiles]:
        starts = [tuple(numbering.partition_starts) for numbering in numberings]
        return [
            EdgeFiles(folder, files[edge_type], starts[direction], starts[1 - direction])
            for direction, edge_type in enumerate(self._types())
        ]

    def _describe(self, report: Report) -> None:
        assert self.state is not None
        attributes = self._stages.fitting.encoder.describe(self.state, report.encoded)
        self.lost_splits = attributes.lost_splits
        schema = EdgeTypeSchema(
            edge_type=self.config.edge_type,
            count=self.rows,
            features=attributes.features,
            text=attributes.text,
            labels=attributes.labels,
            time=attributes.time,
            split_counts=attributes.split_counts,
            fitted_split=attributes.fitted_split,
            hard_negatives=0 if self.config.hard_negatives is None else self.config.hard_negatives.count,
            reverse=self.config.reverse_type,
        )
        self.schemas[schema.edge_type] = schema
        if self.config.reverse_type is not None:
            ends = {"edge_type": self.config.reverse_type, "reverse": self.config.edge_type, "is_reverse": True}
            self.schemas[self.config.reverse_type] = schema.model_copy(update={**ends, "hard_negatives": 0})
