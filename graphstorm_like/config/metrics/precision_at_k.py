"""`task.metrics`: `precision_at_k@100`"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.metrics.base import Measured
from graphstorm_like.config.metrics.of_class import OfClassConfig


class PrecisionAtKConfig(OfClassConfig):
    """Of the k rows of the whole split with the highest probability of a class, the share that has it; the mean over
    classes, or of one: what a list of the k likeliest cases is worth."""

    measures: ClassVar[Measured] = "classes"
    measures_sets: ClassVar[bool] = True

    type: Literal["precision_at_k"]
    k: PositiveInt
    """How many rows; all where there are fewer."""
    thresholds: Annotated[int, Field(ge=10, le=10_000)] = 1000
    """Probabilities are told apart at this many points from 0 to 1; of the rows between two of them, among which the
    k-th is, each counts the same part."""

    @property
    def name(self) -> str:
        """precision_at_k@100, or precision_at_k@100:<class>"""
        return super().name.replace(self.type, f"{self.type}@{self.k}", 1)
