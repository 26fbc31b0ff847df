"""The columns that the configuration names, and what for."""

from __future__ import annotations

from dataclasses import dataclass

from gconstruct.encoding.times import time_use
from gconstruct.features import transform_of
from gconstruct.splits import split_of
from graphstorm_like.config.graph import EdgeConfig, NodeConfig, TableConfig
from graphstorm_like.config.splits import SplitConfig


@dataclass(frozen=True, slots=True)
class Need:
    """A column that the configuration names."""

    column: str
    use: str
    """A key of kinds.USES"""
    key: str
    """Where the YAML names it"""


def node_needs(key: str, node: NodeConfig) -> list[Need]:
    """Of a node table; the id comes first."""
    assert node.id is not None
    images = [Need(image.column, "image", f"{key}.image.{name}") for name, image in node.image.items()]
    return [Need(node.id, "id", f"{key}.id"), *_common_needs(key, node), *images]


def edge_needs(key: str, edge: EdgeConfig) -> list[Need]:
    """Of an edge table; the ids come first."""
    needs = [Need(edge.source_id, "id", f"{key}.source_id"), Need(edge.target_id, "id", f"{key}.target_id")]
    if edge.relation_column is not None:
        needs.append(Need(edge.relation_column, "group", f"{key}.relation_column"))
    needs += _common_needs(key, edge)
    if edge.split is not None:
        needs += _split_needs(f"{key}.split", edge.split)
    if edge.hard_negatives is not None:
        use = "ids" if edge.hard_negatives.separator is None else "separated"
        needs.append(Need(edge.hard_negatives.column, use, f"{key}.hard_negatives"))
    return needs


def _common_needs(key: str, table: NodeConfig | TableConfig) -> list[Need]:
    needs = []
    features = {name: feature for name, feature in table.features.items() if feature.of_columns}
    for name, feature in features.items():
        transform = transform_of(feature)
        needs += [Need(column, transform.use, f"{key}.features.{name}") for column in transform.columns]
    for name, text in table.text.items():
        needs += [Need(column, "text", f"{key}.text.{name}") for column in text.template_columns()]
    for name, label in table.labels.items():
        use = "separated" if label.separator is not None else label.kind
        needs.append(Need(label.column, use, f"{key}.labels.{name}"))
        needs += _split_needs(f"{key}.labels.{name}.split", label.split)
    if table.time is not None:
        needs.append(Need(table.time.column, time_use(table.time), f"{key}.time"))
    return needs


def _split_needs(key: str, split: SplitConfig) -> list[Need]:
    return [Need(column, use, f"{key}.{field}") for column, use, field in split_of(split).columns()]
