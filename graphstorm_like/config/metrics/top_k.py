"""`task.metrics`: `top_k@5`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.metrics.base import Measured, MetricConfig


class TopKConfig(MetricConfig):
    """The share of rows whose class is among the k likeliest: recall at k of one label a row. Precision at k is this
    divided by k."""

    measures: ClassVar[Measured] = "classes"

    type: Literal["top_k"]
    k: PositiveInt
    """How many."""

    @property
    def name(self) -> str:
        """top_k@k"""
        return f"top_k@{self.k}"
