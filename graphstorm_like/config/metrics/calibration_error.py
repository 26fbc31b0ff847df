"""`task.metrics`: `calibration_error`"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from graphstorm_like.config.metrics.base import Measured, MetricConfig


class CalibrationErrorConfig(MetricConfig):
    """Expected calibration error (Guo et al. 2017): how far the probability of the likeliest class is from the share of
    rows where it is right, over rows of like probability. Lower is better."""

    measures: ClassVar[Measured] = "classes"
    higher_is_better: ClassVar[bool] = False

    type: Literal["calibration_error"]
    bins: Annotated[int, Field(ge=2, le=1000)] = 15
    """Ranges of equal width that probabilities are divided into."""
