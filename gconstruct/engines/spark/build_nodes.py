"""One node type, as the driver sees it: which jobs run, and what they tell of its rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from gconstruct import rules
from gconstruct.attributes import Attributes
from gconstruct.encoding import Encoded, TableState
from gconstruct.engines.spark.cluster import Cluster, Stage
from gconstruct.engines.spark.created import CreatedStages, RangeStages, ranges_of
from gconstruct.engines.spark.degrees import DegreeColumns, merged_moments
from gconstruct.engines.spark.files import GraphFolder, NodeFiles, Written
from gconstruct.engines.spark.ids import Buckets, NodeIdStages
from gconstruct.engines.spark.nodes import Fitting, NodeRows, NodeStages
from gconstruct.engines.spark.numbering import Numbering
from gconstruct.engines.spark.parts import assign
from gconstruct.engines.spark.pieces import WorkTable
from gconstruct.engines.spark.report import Report
from gconstruct.problems import EXAMPLES, Problems
from gconstruct.report.trace import KEPT_EXAMPLES, Example, Trace
from gconstruct.tables.plan import ColumnPlan, TablePlan
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.graph.schema import NodeTypeSchema

if TYPE_CHECKING:
    from gconstruct.engines.spark.build_edges import EdgeBuild
    from gconstruct.engines.spark.cluster import Rows


class NodeBuild:
    """The nodes of one type. open: edges may add some."""

    def __init__(
        self,
        cluster: Cluster,
        config: GraphConfig,
        name: str,
        plans: tuple[TablePlan | None, ColumnPlan],
        buckets: Buckets,
        receivers: int,
        is_open: bool,
        degrees: DegreeColumns | None = None,
    ) -> None:
        """plans: of its table, if it has one, and of its ids. receivers: buckets of all node types. degrees: features
        that its edges give."""
        self.name, self.is_open = name, is_open
        self.degrees = degrees
        plan, self._id_plan = plans
        self.state: TableState | None = None
        self.schema: NodeTypeSchema | None = None
        self.dropped: dict[str, int] = {}
        """Rows that were left out, by reason"""
        self.lost_splits: dict[str, int] = {}
        """Rows with a split but no label, by label"""
        self._cluster, self._config, self._receivers = cluster, config, receivers
        self._buckets = buckets
        self._stages: NodeStages | None = None
        self._rows: list[int] = [] if plan is not None else [0]
        """Nodes of each piece, then of each range of created nodes; one range at least without a table"""
        self._ids: Rows | None = None
        self._left_out: Rows | None = None
        self._created: Rows | None = None
        self._degrees: Rows | None = None
        self._parts: tuple[Rows, np.ndarray] | None = None
        """Partitions of its nodes, sent to their pieces, and how many of each piece are in each"""
        self._written_as_text = False
        if plan is not None:
            node, table = config.nodes[name], WorkTable.of(plan)
            assert node.id is not None
            ids = NodeIdStages(table, f"nodes.{name}", node.id, node.on_bad_id == "skip", buckets)
            self._stages = NodeStages(ids, Fitting(table, node, config.base or "."))

    @property
    def has_table(self) -> bool:
        """Whether it has nodes of its own."""
        return self._stages is not None

    @property
    def buckets(self) -> Buckets:
        """Where its ids are."""
        return self._buckets

    @property
    def table(self) -> WorkTable:
        """Of a type that has one."""
        assert self._stages is not None
        return self._stages.ids.table

    @property
    def waits(self) -> bool:
        """Whether its rows depend on edges: it is written after all edges are known."""
        return self.is_open or self.degrees is not None

    @property
    def index_type(self) -> pa.DataType:
        """Of ids in the index"""
        return self._id_plan.type

    @property
    def starts(self) -> list[int]:
        """pieces + 1: nodes before each piece, in the order of the table"""
        return self.numbering(in_table=True).starts

    @property
    def in_table(self) -> int:
        """Nodes of its table"""
        return sum(self._rows[: self.table.pieces]) if self.has_table else 0

    @property
    def count(self) -> int:
        """All nodes so far"""
        return sum(self._rows)

    # ------------------------------------------------------------------------------------------------- ids

    def check_ids(self, problems: Problems, trace: Trace) -> None:
        """Null and repeated ids; how many rows each piece has without them."""
        ids = self._id_stages
        self._ids = self._cluster.send(self._cluster.over(ids.table.pieces, ids.send_ids), self._receivers)
        report = self._cluster.report(self._ids)
        problems.add_all(report.problems)
        trace.merge(report.trace)
        self._written_as_text = bool(report.counts["not integers"])
        if len(report.by_piece) < ids.table.pieces:
            return
        trace.table(
            ids.key,
            files=len(ids.table.plan.files),
            rows=report.counts["rows"],
            size=sum(file.size for file in ids.table.plan.files),
        )
        self._count("null id", report.counts["rows"] - sum(report.by_piece.values()))
        found = self._cluster.run(self._ids, ids.find_repeated)
        repeated = self._cluster.report(self._cluster.send(found, ids.table.pieces))
        self._rows = [report.by_piece[p] - repeated.counts["left out", p] for p in range(ids.table.pieces)]
        if repeated.counts["repeated"]:
            self._note_repeated(repeated, problems, trace)
        if self.dropped:
            self._left_out = found
        if not sum(self._rows):
            problems.add(rules.no_nodes(ids.table.nothing(), ids.table.plan.key))

    @property
    def _id_stages(self) -> NodeIdStages:
        assert self._stages is not None
        return self._stages.ids

    def _count(self, reason: str, rows: int) -> None:
        if rows and self._id_stages.skip:
            self.dropped[reason] = rows

    def _note_repeated(self, report: Report, problems: Problems, trace: Trace) -> None:
        ids, count = self._id_stages, report.counts["repeated"]
        self._count("repeated id", count)
        first = sorted(report.notes, key=lambda note: note[:2])[:KEPT_EXAMPLES]
        rows = [(piece, row) for piece, row, *_ in first] + [first[0][2:4]]
        found = self._cluster.collect(self._cluster.over(1, partial(ids.places, rows)))
        values = [note[4] for note in first]
        if ids.skip:
            places = Places(found)
            trace.dropped(ids.key, "repeated id", count, [Example.of(places, i, v) for i, v in enumerate(values)])
        else:
            of_rows = Places([*found[:EXAMPLES], found[-1]])
            shown = range(min(EXAMPLES, len(values)))
            problem = rules.repeated_ids(of_rows, ids.table.plan.key, ids.column, shown, values, len(of_rows) - 1)
            problems.add(replace(problem, count=count))

    # ------------------------------------------------------------------------------------------------- attributes

    def take_state(self, known: TableState) -> None:
        """Fit nothing: this state of another graph counts. `fit` still looks at what only all rows show."""
        if self._stages is not None:
            self._stages = replace(self._stages, fitting=replace(self._stages.fitting, known=known))

    def fit(self, problems: Problems) -> None:
        """What the attributes need to know of all rows."""
        assert self._stages is not None
        sent = None if self._left_out is None else self._cluster.send(self._left_out, self.table.pieces)
        self.state = fit(self._cluster, self._stages.fitting, self._stages.fit, sent, problems)

    # ------------------------------------------------------------------------------------------------- numbers

    def create(self, wanted: Rows) -> None:
        """Number the nodes that edges name. wanted: their ids, sent to the buckets of all node types."""
        stages, pieces = CreatedStages(self._buckets), self.table.pieces if self.has_table else 0
        unique = self._cluster.run(wanted, stages.unique)
        sample = self._cluster.report(self._cluster.send(self._cluster.run(unique, stages.sample), 0))
        if not sample.counts["ids"]:
            return
        ranges = RangeStages(*ranges_of(sample), pieces)
        self._written_as_text = self._written_as_text or bool(sample.counts["not integers"])
        ids = self._cluster.send(self._cluster.run(unique, ranges.send), ranges.ranges)
        self._created = self._cluster.run(ids, ranges.sort)
        counts = self._cluster.report(self._cluster.send(self._created, pieces + ranges.ranges)).by_piece
        self._rows = self._rows[:pieces] + [counts[number] for number in range(ranges.ranges)]

    def numbering(self, *, in_table: bool = False) -> Numbering:
        """The numbers of its nodes. in_table: in the order of the table, without partitions."""
        table = Numbering(tuple(self._rows))
        if in_table or self._config.partitions.count == 1:
            return table
        if self._parts is None:
            rows, told = self._node_rows(table), self._sent(table)
            self._parts = assign(self._cluster, self._config, self.name, self.described(Encoded()), rows, told)
        return Numbering(table.rows, self._parts[1])

    def described(self, counts: Encoded) -> NodeTypeSchema:
        """What the manifest says of it. counts: of all pieces"""
        attributes = Attributes()
        if self._stages is not None and self.state is not None:
            attributes = self._stages.fitting.encoder.describe(self.state, counts)
        features = dict(attributes.features)
        if self.degrees is not None and self.degrees.states:
            features |= self.degrees.schemas()
        in_order = [name for name in self._config.nodes[self.name].features if name in features]
        return NodeTypeSchema(
            count=self.count,
            id_type="int64" if pa.types.is_int64(self._id_type) else "string",
            features={name: features[name] for name in in_order},
            text=attributes.text,
            image=attributes.image,
            labels=attributes.labels,
            time=attributes.time,
        )

    def index(self, numbering: Numbering) -> Rows:
        """Ids and numbers (or rows, from which numbers follow) in the buckets of all node types."""
        if numbering.partitions == 1 and not self._created and not self._left_out:
            return self._ids or self._cluster.empty(self._receivers)
        rows = self._node_rows(numbering)
        return self._cluster.send(self._cluster.run(self._sent(numbering), rows.index), self._receivers)

    def _sent(self, numbering: Numbering) -> Rows:
        """What each piece and range has to know of its own rows."""
        slots = len(numbering.rows)
        rows = [pairs for pairs in (self._left_out, self._created) if pairs is not None]
        sent = [self._cluster.send(pairs, slots) for pairs in rows]
        if numbering.partitions > 1 and self._parts is not None:
            sent.append(self._parts[0])
        if self._degrees is not None:
            sent.append(self._degrees)
        return self._cluster.together(*sent) if sent else self._cluster.empty(slots)

    def _node_rows(self, numbering: Numbering) -> NodeRows:
        degrees = None if self._degrees is None else self.degrees
        plan_type = self._id_plan.type
        return NodeRows(self._stages, numbering, self._buckets, plan_type, self._id_type, self.state, degrees)

    @property
    def _id_type(self) -> pa.DataType:
        """Of ids as they are written"""
        if not self.count:
            return pa.large_string()
        return pa.int64() if self._id_plan.untyped and not self._written_as_text else self._id_plan.type

    def count_degrees(self, edges: Iterable[EdgeBuild]) -> None:
        """Add up what the edges, whose ends are known, send to its nodes; fit what is made of it."""
        if self.degrees is None:
            return
        starts, rows = self.starts, tuple(self._rows)
        sent = [pairs for edge in edges if (pairs := edge.degrees(self.degrees.counted, starts)) is not None]
        self._degrees = self._cluster.together(*(self._cluster.send(pairs, len(rows)) for pairs in sent))
        if self.degrees.states:
            return
        moments = self._cluster.run(self._degrees, partial(self.degrees.fit, rows))
        merged, _ = self._cluster.merged(moments, len(rows), merged_moments)
        (of_all,) = self._cluster.collect(merged)
        self.degrees = replace(self.degrees, states=self.degrees.states_of(of_all))

    # ------------------------------------------------------------------------------------------------- files

    def write(self, folder: GraphFolder, files: tuple[str, ...], problems: Problems, trace: Trace) -> list[Written]:
        """Write the files, by partition, and set `schema`; nothing when there are problems."""
        numbering = self.numbering()
        rows = self._node_rows(numbering)
        sent = self._cluster.send(self._cluster.run(self._sent(numbering), rows.send), len(files), in_order=True)
        written = self._cluster.collect(self._cluster.run(sent, NodeFiles(folder, files).write))
        report: Report = written.pop()
        problems.add_all(report.problems)
        if len(report.problems):
            return []
        trace.merge(report.trace)
        self.schema = self.described(report.encoded)
        self.lost_splits = {label: lost for label, lost in report.encoded.lost_splits.items() if lost}
        return written


def fit(cluster: Cluster, fitting: Fitting, stage: Stage, sent: Rows | None, problems: Problems) -> TableState | None:
    """What a table's attributes need to know of all rows. sent: what pieces have to know; None: nothing."""
    if not fitting.encoder.needs_fit:
        nothing = fitting.table.nothing()
        return fitting.encoder.state(fitting.encoder.fit(nothing, problems), nothing, problems)
    pieces = fitting.table.pieces
    rows = cluster.over(pieces, stage) if sent is None else cluster.run(sent, stage)
    merged, report = cluster.merged(rows, pieces, fitting.merge)
    problems.add_all(report.problems)
    if len(report.problems):
        return None
    ((state, found),) = cluster.collect(cluster.run(merged, fitting.state))
    problems.add_all(found)
    result: TableState | None = state
    return result


class Places(list[tuple[str, int]]):
    """Rows whose places are known."""

    def place(self, row: int) -> tuple[str, int]:
        """(file, row within it, from 1)"""
        return self[row]

    def label(self) -> str:
        """The file of the first"""
        return self[0][0]
