"""Parts of the tasks about labels: whose label it is, and whether it is a class or a number."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from graphstorm_like.config.base import EdgeTypeField, KeyedError, Name, Strict
from graphstorm_like.config.tasks.base import TaskConfig

ClassMetric = Literal["accuracy", "macro_f1"]
NumberMetric = Literal["rmse", "mae", "r2"]


def _select_by_is_measured(config: Any) -> Any:
    if config.select_by not in config.metrics:
        given = "" if "select_by" in config.model_fields_set else ", the default"
        known = " or ".join(map(repr, config.metrics))
        raise KeyedError("select_by", f"must be one of task.metrics, {known} (got {config.select_by!r}{given})")
    return config


class NodeLabelConfig(TaskConfig):
    """The label is one of the nodes of one type."""

    node_type: Name
    """The node type that the task is about."""
    label: Name
    """Which of the node type's labels."""
    head_layers: Annotated[int, Field(ge=1, le=4)] = 1
    """1: a linear head; more: an MLP."""


class ScoredEdgeInputs(Strict):
    """What the head reads of the edges themselves; default: all their features and texts.

    The label must not be among them, nor what gives it away.
    """

    features: list[Name] | None = None
    """Features that the head reads; default: all."""
    text: list[Name] | None = None
    """Texts that the head reads; default: all."""


class EdgeLabelConfig(TaskConfig):
    """The label is one of the edges of one type, read off both ends' vectors, and off the edge itself with `inputs`."""

    edge_type: EdgeTypeField
    """The edge type that the task is about, 'source:relation:target'; one of graph.edges."""
    label: Name
    """Which of the edge type's labels."""
    head_layers: Annotated[int, Field(ge=1, le=4)] = 2
    """Layers of the head on [h_s, h_t, h_s * h_t]; 1: linear."""
    inputs: ScoredEdgeInputs | None = None
    """Features and texts of the scored edges that the head reads too; where language models learn, from these texts
    as well. null: none. (`model.edge_inputs` is about messages.)"""
    exclude_target_edges: bool = True
    """A training batch's edges and their reverses are no messages in it; the label's validation and test edges never
    are, so that what is scored was no message either. false: every edge is a message, in training and in scoring."""


class ClassLabelConfig(Strict):
    """The label is a class."""

    class_weights: Literal["none", "balanced"] = "none"
    """balanced: a rare class weighs as much in the loss as a frequent one."""
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """This much of the target's probability is spread over all classes."""
    metrics: Annotated[list[ClassMetric], Field(min_length=1)] = ["accuracy", "macro_f1"]
    """What is measured on validation and test."""
    select_by: ClassMetric = "accuracy"
    """The validation number that early stopping and the best checkpoint follow."""

    _selectable = model_validator(mode="after")(_select_by_is_measured)


class NumberLabelConfig(Strict):
    """The label is a number."""

    loss: Literal["mse", "huber"] = "mse"
    """On labels standardised by the training rows' mean and deviation; huber is linear beyond one deviation."""
    metrics: Annotated[list[NumberMetric], Field(min_length=1)] = ["rmse", "mae", "r2"]
    """In the label's own units."""
    select_by: NumberMetric = "rmse"
    """The validation number that early stopping and the best checkpoint follow: lowest rmse or mae, highest r2."""

    _selectable = model_validator(mode="after")(_select_by_is_measured)
