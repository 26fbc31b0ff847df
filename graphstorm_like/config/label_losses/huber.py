"""`task.loss.type: huber`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.base import PositiveFloat
from graphstorm_like.config.label_losses.base import LabelKind, LabelLossConfig


class HuberConfig(LabelLossConfig):
    """Squared error near the label, linear beyond `delta`: outliers pull less."""

    of_labels: ClassVar[tuple[LabelKind, ...]] = ("number",)

    type: Literal["huber"]
    delta: PositiveFloat = 1.0
    """In deviations of the training labels."""
