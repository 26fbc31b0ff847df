"""`task.metrics`: `ndcg`, `ndcg@10`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.metrics.base import Measured, MetricConfig


class NdcgConfig(MetricConfig):
    """Normalised discounted cumulative gain: mean of 1 / log2(1 + rank) of the true answers, one an edge."""

    measures: ClassVar[Measured] = "ranks"

    type: Literal["ndcg"]
    k: PositiveInt | None = None
    """Ranks beyond count 0; null: none does."""

    @property
    def name(self) -> str:
        """ndcg, or ndcg@k"""
        return "ndcg" if self.k is None else f"ndcg@{self.k}"
