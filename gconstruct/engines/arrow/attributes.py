"""What rows carry besides their ids: features, texts, labels and splits of a node or edge table, encoded."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from gconstruct.engines.arrow.features import encode_feature
from gconstruct.engines.arrow.labels import HashedIds, encode_label, encode_split, split_counts
from gconstruct.engines.arrow.read import Table
from gconstruct.engines.arrow.texts import encode_text
from gconstruct.problems import Problems
from graphstorm_like.config.graph import EdgeConfig, NodeConfig
from graphstorm_like.graph.schema import (
    NO_LABEL,
    SPLIT_COLUMN,
    FeatureSchema,
    LabelSchema,
    TextSchema,
    feature_column,
    label_column,
    label_split_column,
    text_column,
)


@dataclass(slots=True)
class Attributes:
    """Encoded columns by their name in the graph folder, and what the manifest says about them."""

    columns: dict[str, np.ndarray | pa.Array] = field(default_factory=dict)
    features: dict[str, FeatureSchema] = field(default_factory=dict)
    text: dict[str, TextSchema] = field(default_factory=dict)
    labels: dict[str, LabelSchema] = field(default_factory=dict)
    split_counts: dict[str, int] | None = None
    lost_splits: dict[str, int] = field(default_factory=dict)
    """Rows with a split but no label, by label"""

    def take(self, order: np.ndarray) -> dict[str, np.ndarray | pa.Array]:
        """The columns in another order of rows."""
        return {
            name: values[order] if isinstance(values, np.ndarray) else values.take(pa.array(order))
            for name, values in self.columns.items()
        }

    def with_empty_rows(self, count: int) -> dict[str, np.ndarray | pa.Array]:
        """The columns with `count` rows behind: zero features, no label, no split, empty text."""
        return {name: _extended(name, values, count) for name, values in self.columns.items()}


def _extended(name: str, values: np.ndarray | pa.Array, count: int) -> np.ndarray | pa.Array:
    if isinstance(values, pa.Array):
        return pa.concat_arrays([values, pa.array([""], values.type).take(pa.array(np.zeros(count, np.int64)))])
    fill: float = 0
    if name.startswith(label_column("")):
        fill = NO_LABEL if values.dtype == np.int32 else np.nan
    return np.concatenate([values, np.full((count, *values.shape[1:]), fill, values.dtype)])


def encode_attributes(
    table: Table, config: NodeConfig | EdgeConfig, hashed_ids: HashedIds, problems: Problems
) -> Attributes:
    """All features, texts, labels and splits; `problems` gets everything that is wrong with them."""
    out = Attributes()
    for name, feature in config.features.items():
        encoded = encode_feature(table, name, feature, problems)
        if encoded is not None:
            out.columns[feature_column(name)], out.features[name] = encoded
    for name, text in config.text.items():
        out.columns[text_column(name)], out.text[name] = encode_text(table, text)
    for name, label in config.labels.items():
        found = encode_label(table, name, label, hashed_ids, problems)
        if found is not None:
            out.columns[label_column(name)], out.columns[label_split_column(name)], out.labels[name], lost = found
            if lost:
                out.lost_splits[name] = lost
    if isinstance(config, EdgeConfig) and config.split is not None:
        splits = encode_split(table, config.split, f"{table.key}.split", hashed_ids, problems)
        if splits is not None:
            out.columns[SPLIT_COLUMN], out.split_counts = splits, split_counts(splits)
    return out
