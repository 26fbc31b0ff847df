"""`task.metrics`: `hits`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.metrics.base import Measured, MetricConfig


class HitsConfig(MetricConfig):
    """The share of true answers among the first k."""

    measures: ClassVar[Measured] = "ranks"

    type: Literal["hits"]
    k: PositiveInt
    """How many."""

    @property
    def name(self) -> str:
        """hits@k"""
        return f"hits@{self.k}"
