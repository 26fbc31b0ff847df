"""`task.metrics`: `rmse`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.metrics.base import Measured, MetricConfig


class RmseConfig(MetricConfig):
    """Root of the mean squared error."""

    measures: ClassVar[Measured] = "numbers"
    higher_is_better: ClassVar[bool] = False

    type: Literal["rmse"]
