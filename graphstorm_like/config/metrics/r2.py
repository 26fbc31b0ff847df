"""`task.metrics`: `r2`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.metrics.base import Measured, MetricConfig


class R2Config(MetricConfig):
    """1 - squared errors / squared distances of the labels from their mean. Of labels that are all equal it is 1 when
    every prediction is right, else 0."""

    measures: ClassVar[Measured] = "numbers"

    type: Literal["r2"]
