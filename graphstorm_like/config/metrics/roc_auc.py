"""`task.metrics`: `roc_auc`"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from graphstorm_like.config.metrics.base import Measured
from graphstorm_like.config.metrics.of_class import OfClassConfig


class RocAucConfig(OfClassConfig):
    """Area under the ROC curve of each class against the rest, the mean over classes, or of one class."""

    measures: ClassVar[Measured] = "classes"
    measures_sets: ClassVar[bool] = True

    type: Literal["roc_auc"]
    thresholds: Annotated[int, Field(ge=10, le=10_000)] = 200
    """Probabilities are told apart at this many points from 0 to 1: counts at each add up over ranks, scores would
    have to be collected."""
