"""`method: range`"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from graphstorm_like.config.partitioners.base import PartitionsConfig
from graphstorm_like.config.partitioners.by import By, column_problem


class RangePartitions(PartitionsConfig):
    """Nodes are sorted, and each partition takes equally many neighbours in that order: good when the order of the
    tables, or a column, says what belongs together (time, place, community)."""

    method: Literal["range"]
    by: By = "position"
    """`position`: the order of the tables; `id`; or the name of a feature of one number, a label or a text; or one
    for each node type. Types without it keep the order of their table; missing values come last."""

    def problem(self, columns: Mapping[str, Collection[str]]) -> str | None:
        """See PartitionsConfig."""
        return column_problem(self.by, columns)
