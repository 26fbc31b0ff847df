"""What the rows of a node or edge type have besides their ids: features, texts, images, labels and splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from graphstorm_like.graph.schema import (
    NO_CLASSES,
    NO_LABEL,
    TIME_COLUMN,
    FeatureSchema,
    ImageSchema,
    LabelSchema,
    TextSchema,
    TimeSchema,
    always,
    label_column,
)
from graphstorm_like.graph.sparse import is_sparse

_NO_LABELS = {"int32": NO_LABEL, "uint8": NO_CLASSES, "float32": np.nan}


@dataclass(slots=True)
class Attributes:
    """Encoded columns by their name in the graph folder, and what the manifest says about them."""

    columns: dict[str, np.ndarray | pa.Array] = field(default_factory=dict)
    features: dict[str, FeatureSchema] = field(default_factory=dict)
    text: dict[str, TextSchema] = field(default_factory=dict)
    image: dict[str, ImageSchema] = field(default_factory=dict)
    labels: dict[str, LabelSchema] = field(default_factory=dict)
    split_counts: dict[str, int] | None = None
    fitted_split: dict[str, Any] = field(default_factory=dict)
    """Of the edges' own split, see EdgeTypeSchema"""
    lost_splits: dict[str, int] = field(default_factory=dict)
    """Rows with a split but no label, by label"""
    time: TimeSchema | None = None
    """Of a table with a time column"""

    def take(self, order: np.ndarray) -> dict[str, np.ndarray | pa.Array]:
        """The columns in another order of rows."""
        columns: dict[str, np.ndarray | pa.Array] = {}
        for name, values in self.columns.items():
            columns[name] = values[order] if isinstance(values, np.ndarray) else values.take(pa.array(order))
        return columns


def empty_rows(columns: Mapping[str, np.ndarray | pa.Array], count: int) -> dict[str, np.ndarray | pa.Array]:
    """`count` rows of nodes that only edges name: zero features, black images, no label, no split, empty text, always
    there. columns: any rows, also none, that show the types"""
    return {name: _empty(name, values, count) for name, values in columns.items()}


def _empty(name: str, values: np.ndarray | pa.Array, count: int) -> np.ndarray | pa.Array:
    if isinstance(values, pa.Array):
        return pa.array([[] if is_sparse(values.type) else ""], values.type).take(pa.array(np.zeros(count, np.int64)))
    fill: float = 0
    if name.startswith(label_column("")):
        fill = _NO_LABELS[values.dtype.name]
    if name == TIME_COLUMN:
        fill = always(values.dtype)
    return np.full((count, *values.shape[1:]), fill, values.dtype)
