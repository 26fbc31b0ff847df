"""What a task writes for the user: tables of predictions, a part of the rows at a time, and vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from graphstorm_like.graph.store import NodeType, RowType
from graphstorm_like.models.embedding import Vectors

Follow = Callable[[str, int, int], None]
"""Called with progress: (what, number done, total)."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predictions for the rows of a node or edge type. table: makes those of some rows, with the user's ids."""

    row_type: RowType
    table: Callable[[slice], pa.Table]
    per_row: int = 1
    """Lines of the table per row, at most."""
    facts: Callable[[], Mapping[str, Any]] = dict
    """What the manifest says of them; called when all tables are made."""


@dataclass(frozen=True, slots=True)
class EndVectors:
    """Vectors of the nodes of a type as the head compares them. folder: where they are written, among the results.
    of: the model's vectors [n, D] -> [n, D]."""

    folder: str
    node_type: NodeType
    of: Callable[[Vectors], Vectors]
