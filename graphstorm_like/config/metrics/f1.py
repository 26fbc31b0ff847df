"""`task.metrics`: `macro_f1` or `micro_f1` or `weighted_f1`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.metrics.base import Measured, MetricConfig


class F1Config(MetricConfig):
    """F1 of the likeliest class: the mean over classes (macro; classes that are neither labels nor predictions do not
    count), weighted by how often a class is the label (weighted), or of all rows together (micro; of one label a row
    that is the accuracy). Of several labels a row: F1 of the classes whose probability is above `task.threshold`."""

    measures: ClassVar[Measured] = "classes"
    measures_sets: ClassVar[bool] = True

    type: Literal["macro_f1", "micro_f1", "weighted_f1"]
    """How classes are averaged."""
