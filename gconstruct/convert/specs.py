"""Graph construction, read from either of GraphStorm's two JSON forms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class FeatureSpec:
    """A feature, a text, or wrong targets of edges. settings: of ours, without `column`; text_model: set for texts."""

    key: str
    columns: list[str]
    name: str | None
    settings: dict[str, Any] = field(default_factory=dict)
    text_model: str | None = None
    max_tokens: int | None = None
    hard_negatives: bool = False


@dataclass
class LabelSpec:
    """task: classification, regression or link_prediction. split: of ours. separator: what divides the classes of a
    row; None: it has one."""

    key: str
    task: str
    column: str | None
    split: dict[str, Any]
    separator: str | None = None


@dataclass
class TableSpec:
    """What node and edge tables have in common."""

    key: str
    files: list[str]
    format: str | None
    separator: str | None
    features: list[FeatureSpec]
    labels: list[LabelSpec]


@dataclass
class NodeSpec(TableSpec):
    """A node table; several may be of one type."""

    node_type: str = ""
    id_column: str | None = None


@dataclass
class EdgeSpec(TableSpec):
    """An edge table."""

    relation: tuple[str, str, str] = ("", "", "")
    source_column: str | None = None
    target_column: str | None = None


@dataclass
class GraphSpec:
    """All tables of a file."""

    nodes: list[NodeSpec]
    edges: list[EdgeSpec]
