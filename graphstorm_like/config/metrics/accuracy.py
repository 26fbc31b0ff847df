"""`task.metrics`: `accuracy`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.metrics.base import Measured, MetricConfig


class AccuracyConfig(MetricConfig):
    """The share of rows whose likeliest class is the right one."""

    measures: ClassVar[Measured] = "classes"

    type: Literal["accuracy"]
