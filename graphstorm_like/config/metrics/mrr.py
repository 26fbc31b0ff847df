"""`task.metrics`: `mrr`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.metrics.base import Measured, MetricConfig


class MrrConfig(MetricConfig):
    """Mean of 1 / rank."""

    measures: ClassVar[Measured] = "ranks"

    type: Literal["mrr"]
