"""`task.loss.type: shrinkage`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.base import PositiveFloat
from graphstorm_like.config.label_losses.base import LabelKind, LabelLossConfig


class ShrinkageConfig(LabelLossConfig):
    """Squared error in which easy rows, with an error below `c`, count little (Lu et al., ECCV 2018)."""

    of_labels: ClassVar[tuple[LabelKind, ...]] = ("number",)

    type: Literal["shrinkage"]
    a: PositiveFloat = 10.0
    """How steeply easy and hard rows are told apart."""
    c: PositiveFloat = 0.2
    """The error, in deviations of the training labels, where a row counts half."""
