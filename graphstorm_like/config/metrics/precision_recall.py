"""`task.metrics`: `macro_precision` or `macro_recall`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.metrics.base import Measured, MetricConfig


class PrecisionRecallConfig(MetricConfig):
    """Of the likeliest class: the share of a class's predictions that are right (precision), or of its rows that are
    found (recall); the mean over classes, of which those that are neither labels nor predictions do not count."""

    measures: ClassVar[Measured] = "classes"

    type: Literal["macro_precision", "macro_recall"]
    """Which of both."""
