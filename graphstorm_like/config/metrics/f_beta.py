"""`task.metrics`: `f_beta@2`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.base import PositiveFloat
from graphstorm_like.config.metrics.base import Measured
from graphstorm_like.config.metrics.of_class import OfClassConfig


class FBetaConfig(OfClassConfig):
    """F of the likeliest class, of several labels a row of those above `task.threshold`: (1 + b^2) P R / (b^2 P + R),
    in which recall counts b times as much as precision. The mean over classes, as with macro_f1, or of one class."""

    measures: ClassVar[Measured] = "classes"
    measures_sets: ClassVar[bool] = True

    type: Literal["f_beta"]
    beta: PositiveFloat
    """Above 1: what is missed counts more than what is wrongly found; 1: F1."""

    @property
    def name(self) -> str:
        """f_beta@2, or f_beta@2:<class>"""
        return super().name.replace(self.type, f"{self.type}@{self.beta:g}", 1)
