"""`method: hash`"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from graphstorm_like.config.partitioners.base import SeededPartitions
from graphstorm_like.config.partitioners.by import POSITION, By, column_problem


class HashPartitions(SeededPartitions):
    """A node's partition follows from a hash of its id (or of another column) and the seed alone: it stays when nodes
    are added, and nodes with the same value are together. Partitions are about equally large if the values are
    many."""

    method: Literal["hash"]
    by: By = "id"
    """`id`, or the name of a feature, label or text; or one for each node type. Types without it take the id."""

    def problem(self, columns: Mapping[str, Collection[str]]) -> str | None:
        """See PartitionsConfig."""
        if POSITION in ([self.by] if isinstance(self.by, str) else self.by.values()):
            return (
                "by must be a column (got 'position', which changes when nodes are added). Set by: id, or method: range"
            )
        return column_problem(self.by, columns)
