"""`task.metrics`: `precision_at_recall`, `recall_at_precision`"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from graphstorm_like.config.metrics.base import Measured
from graphstorm_like.config.metrics.of_class import OfClassConfig


class AtLeastConfig(OfClassConfig):
    """The best precision at any threshold of the probability whose recall is at least `least`, or the best recall whose
    precision is; 0 where no threshold has that. Of each class against the rest, the mean over classes, or of one."""

    measures: ClassVar[Measured] = "classes"
    measures_sets: ClassVar[bool] = True

    type: Literal["precision_at_recall", "recall_at_precision"]
    """Which of both."""
    least: Annotated[float, Field(gt=0.0, le=1.0)]
    """What the other one must be at least."""
    thresholds: Annotated[int, Field(ge=10, le=10_000)] = 200
    """Probabilities are told apart at this many points from 0 to 1: counts at each add up over ranks, scores would
    have to be collected."""

    @property
    def name(self) -> str:
        """recall_at_precision@0.9, or recall_at_precision@0.9:<class>"""
        return super().name.replace(self.type, f"{self.type}@{self.least:g}", 1)
