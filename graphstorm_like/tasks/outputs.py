"""What a task writes for the user: tables of predictions, a part of the rows at a time, and vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from graphstorm_like.graph.store import IntArray, NodeType, RowType
from graphstorm_like.models.embedding import Vectors

Follow = Callable[[str, int, int], None]
"""Called with progress: (what, number done, total)."""


Rows: TypeAlias = slice | IntArray
"""Rows of a type: a stretch of them, or any [n]."""


def row_ids(rows: Rows) -> IntArray:
    """[n]: the numbers of rows."""
    return np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predictions for the rows of a node or edge type. table: makes those of some rows, with the user's ids."""

    row_type: RowType
    table: Callable[[Rows], pa.Table]
    per_row: int = 1
    """Lines of the table per row, at most."""
    rows: IntArray | None = None
    """The rows that are asked for; None: all of the type."""
    facts: Callable[[], Mapping[str, Any]] = dict
    """What the manifest says of them; called when all tables are made."""


@dataclass(frozen=True, slots=True)
class Triples:
    """Facts of several relations, to be scored or to be completed. relation [n]: its number among the task's relations.
    source, target [n]: positions of nodes; -1: this end is sought."""

    relation: IntArray
    source: IntArray
    target: IntArray

    def __len__(self) -> int:
        return len(self.relation)

    @property
    def are_questions(self) -> bool:
        """Whether an end is sought, of all of them; else they are scored."""
        return bool(len(self)) and bool(min(self.source.min(), self.target.min()) < 0)


@dataclass(frozen=True, slots=True)
class Asked:
    """The rows that results are asked for. nodes: positions [n] by type; of other types all. edges: numbers [n] of
    edges of the task's type; None: all. pairs: positions ([n], [n]) of sources and targets, whose links are to be
    scored; None: the best targets of sources instead. triples: the same of a task of several relations."""

    nodes: Mapping[NodeType, IntArray] = field(default_factory=dict)
    edges: IntArray | None = None
    pairs: tuple[IntArray, IntArray] | None = None
    triples: Triples | None = None

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return not self.nodes and self.edges is None and self.pairs is None and self.triples is None


ALL_ASKED = Asked()


@dataclass(frozen=True, slots=True)
class EndVectors:
    """Vectors of the nodes of a type as the head compares them. folder: where they are written, among the results.
    of: the model's vectors [n, D] -> [n, D]."""

    folder: str
    node_type: NodeType
    of: Callable[[Vectors], Vectors]
