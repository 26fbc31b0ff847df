"""`task.metrics`: `mae`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.metrics.base import Measured, MetricConfig


class MaeConfig(MetricConfig):
    """Mean absolute error."""

    measures: ClassVar[Measured] = "numbers"
    higher_is_better: ClassVar[bool] = False

    type: Literal["mae"]
