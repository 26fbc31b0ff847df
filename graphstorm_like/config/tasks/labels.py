"""Parts of the tasks about labels: whose label it is, and whether it is a class, several classes or a number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from graphstorm_like.config.base import EdgeType, Fraction, Name, PositiveFloat, Strict
from graphstorm_like.config.graph import GraphConfig, LabelConfig
from graphstorm_like.config.label_losses import (
    BceConfig,
    ClassCrossEntropyConfig,
    LabelKind,
    LabelLossConfig,
    LossOf,
    MseConfig,
)
from graphstorm_like.config.metrics import (
    AccuracyConfig,
    F1Config,
    MaeConfig,
    MetricConfig,
    MetricsOf,
    R2Config,
    RmseConfig,
    check_metrics,
)
from graphstorm_like.config.problems import Problem, check_original, check_split, unknown_name
from graphstorm_like.config.tasks.base import OneRelationTask, ScoredEdgeInputs, TaskConfig, check_scored_inputs
from graphstorm_like.config.tasks.snapshots import SnapshotsConfig
from graphstorm_like.config.times import TimeConfig

ClassWeights = Literal["none", "balanced"] | dict[str, PositiveFloat]


class NodeLabelConfig(TaskConfig):
    """The label is one of the nodes of one type."""

    label_kind: ClassVar[LabelKind]

    node_type: Name
    """The node type that the task is about."""
    label: Name
    """Which of the node type's labels."""
    head_layers: Annotated[int, Field(ge=1, le=4)] = 1
    """1: a linear head; more: an MLP."""
    snapshots: SnapshotsConfig | None = None
    """Learn from the rows in the order of their times; null: from all of them at once."""

    @property
    def goes_in_order(self) -> bool:
        """See TaskConfig."""
        return self.snapshots is not None

    @property
    def row_type(self) -> str:
        """See TaskConfig."""
        return self.node_type

    def node_types(self, edge_types: Sequence[EdgeType]) -> tuple[str, ...]:
        """See TaskConfig."""
        return (self.node_type,)

    def check(self, graph: GraphConfig) -> Iterator[Problem]:
        """See TaskConfig."""
        if self.node_type not in graph.nodes:
            yield ("node_type",), unknown_name("node type", self.node_type, graph.nodes)
        else:
            yield from _check_label(self, graph.nodes[self.node_type].labels, f"graph.nodes.{self.node_type}")
            yield from self._check_snapshots(graph.nodes[self.node_type].time)

    def _check_snapshots(self, time: TimeConfig | None) -> Iterator[Problem]:
        if self.snapshots is None:
            return
        if time is None:
            yield ("snapshots",), f"must be left out: graph.nodes.{self.node_type} has no time"
        elif isinstance(self.snapshots.width, str) == (time.kind == "number"):
            rule = "a number, as the graph's times are" if time.kind == "number" else "a time such as 30d"
            yield ("snapshots", "width"), f"must be {rule} (got {self.snapshots.width!r})"

    def check_validation(self, graph: GraphConfig) -> Iterator[Problem]:
        """See TaskConfig."""
        if self.node_type in graph.nodes:
            yield from _check_rows(
                self, graph.nodes[self.node_type].labels, f"graph.nodes.{self.node_type}", ("valid",)
            )


class EdgeLabelConfig(OneRelationTask):
    """The label is one of the edges of one type, read off both ends' vectors, and off the edge itself with `inputs`."""

    label_kind: ClassVar[LabelKind]

    label: Name
    """Which of the edge type's labels."""
    head_layers: Annotated[int, Field(ge=1, le=4)] = 2
    """Layers of the head on [h_s, h_t, h_s * h_t]; 1: linear."""
    bases: Annotated[int, Field(ge=1)] | None = None
    """The head reads h_s' W_b h_t instead, of so many matrices W_b that the outputs share (with `head_layers: 1` the
    bilinear decoder of GC-MC, van den Berg et al. 2017); null: not."""
    inputs: ScoredEdgeInputs | None = None
    """Features and texts of the scored edges that the head reads too; where language models learn, from these texts
    as well. null: none. (`model.edge_inputs` is about messages.)"""
    exclude_target_edges: bool = True
    """A training batch's edges and their reverses are excluded from its message passing, the label's validation and
    test edges from all message passing. false: every edge passes messages, in training and in scoring."""

    def hidden_edges(self, has_split: Mapping[EdgeType, bool]) -> dict[EdgeType, str | None]:
        """See TaskConfig."""
        return {self.edge_type: self.label} if self.exclude_target_edges else {}

    def learnt_edges(self, has_split: Mapping[EdgeType, bool]) -> dict[EdgeType, str | None]:
        """See TaskConfig."""
        return {self.edge_type: self.label}

    def scored_inputs(self) -> tuple[EdgeType, ScoredEdgeInputs] | None:
        """See TaskConfig."""
        return None if self.inputs is None else (self.edge_type, self.inputs)

    def check_own_times(self, predicts: bool) -> Iterator[Problem]:
        """See TaskConfig. Predictions are made from one vector a node."""
        if predicts:
            message = (
                "must be false with model.time.at: own, because vectors of nodes would see what came after an edge"
            )
            yield ("infer", "predictions"), message

    def check(self, graph: GraphConfig) -> Iterator[Problem]:
        """See TaskConfig."""
        yield from check_original(graph, self.edge_type, ("edge_type",))
        edge = graph.edge(self.edge_type)
        if edge is not None:
            yield from _check_label(self, edge.labels, graph.edge_key(graph.edges.index(edge)))
            if self.inputs is not None:
                yield from check_scored_inputs(self.inputs, edge)

    def check_validation(self, graph: GraphConfig) -> Iterator[Problem]:
        """See TaskConfig."""
        edge = graph.edge(self.edge_type)
        if edge is not None:
            yield from _check_rows(self, edge.labels, graph.edge_key(graph.edges.index(edge)), ("valid",))


def _check_label(
    task: NodeLabelConfig | EdgeLabelConfig, labels: Mapping[str, LabelConfig], table: str
) -> Iterator[Problem]:
    """The label must be one of the table's, of the task's kind, and have rows in every split. table: its key."""
    if task.label not in labels:
        yield ("label",), unknown_name("label", task.label, labels)
    elif labels[task.label].kind != task.label_kind:
        yield (
            ("label",),
            f"must be a label of kind {task.label_kind} for {task.type} (got '{task.label}' of kind "
            f"{labels[task.label].kind})",
        )
    else:
        yield from _check_rows(task, labels, table, ("train", "test"))


def _check_rows(
    task: NodeLabelConfig | EdgeLabelConfig, labels: Mapping[str, LabelConfig], table: str, parts: Sequence[str]
) -> Iterator[Problem]:
    """Some parts of the label's split must have rows."""
    if task.label in labels:
        key = f"{table}.labels.{task.label}.split"
        yield from check_split(("label",), "a label", key, labels[task.label].split, parts)


class ClassLabelConfig(Strict):
    """The label is a class."""

    renamed_keys = {"label_smoothing": "loss"}

    label_kind: ClassVar[LabelKind] = "class"

    loss: Annotated[LabelLossConfig, LossOf("class")] = ClassCrossEntropyConfig(type="cross_entropy")
    """What training minimises: the name of a loss, or a mapping with `type` and settings."""
    class_weights: ClassWeights = "none"
    """What rows of a class weigh in the loss. balanced: a rare class as much as a frequent one, in sum; or numbers by
    the name of the class, 1 for those that are not named."""
    metrics: Annotated[list[Annotated[MetricConfig, MetricsOf("classes")]], Field(min_length=1)] = [
        AccuracyConfig(type="accuracy"),
        F1Config(type="macro_f1"),
    ]
    """What is measured on validation and test: names, or mappings with `type` and settings."""
    select_by: str = "accuracy"
    """The metric, one of `metrics`, whose validation number early stopping and the best checkpoint follow."""

    _selectable = model_validator(mode="after")(check_metrics)


class ClassesLabelConfig(Strict):
    """The label is any number of classes: none, one or several (`kind: classes`)."""

    label_kind: ClassVar[LabelKind] = "classes"

    loss: Annotated[LabelLossConfig, LossOf("classes")] = BceConfig(type="bce")
    """What training minimises: the name of a loss, or a mapping with `type` and settings."""
    class_weights: ClassWeights = "none"
    """What the rows that have a class weigh in the loss of that class. balanced: as much as those that do not, in sum;
    or numbers by the name of the class, 1 for those that are not named."""
    threshold: Fraction = 0.5
    """A row is predicted to have the classes whose probability is above it."""
    metrics: Annotated[list[Annotated[MetricConfig, MetricsOf("class sets")]], Field(min_length=1)] = [
        F1Config(type="micro_f1"),
        F1Config(type="macro_f1"),
    ]
    """What is measured on validation and test: names, or mappings with `type` and settings."""
    select_by: str = "micro_f1"
    """The metric, one of `metrics`, whose validation number early stopping and the best checkpoint follow."""

    _selectable = model_validator(mode="after")(check_metrics)


class NumberLabelConfig(Strict):
    """The label is a number."""

    label_kind: ClassVar[LabelKind] = "number"

    loss: Annotated[LabelLossConfig, LossOf("number")] = MseConfig(type="mse")
    """On labels standardised by the training rows' mean and deviation: the name of a loss, or a mapping with `type`
    and settings."""
    metrics: Annotated[list[Annotated[MetricConfig, MetricsOf("numbers")]], Field(min_length=1)] = [
        RmseConfig(type="rmse"),
        MaeConfig(type="mae"),
        R2Config(type="r2"),
    ]
    """Names, or mappings with `type` and settings. In the label's own units."""
    select_by: str = "rmse"
    """The metric, one of `metrics`, whose validation number early stopping and the best checkpoint follow: lowest rmse
    or mae, highest r2."""

    _selectable = model_validator(mode="after")(check_metrics)
