"""`task.metrics`: `mse`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.metrics.base import Measured, MetricConfig


class MseConfig(MetricConfig):
    """Mean of the squared errors."""

    measures: ClassVar[Measured] = "numbers"
    higher_is_better: ClassVar[bool] = False

    type: Literal["mse"]
