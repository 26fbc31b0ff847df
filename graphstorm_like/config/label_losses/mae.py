"""`task.loss.type: mae`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.label_losses.base import LabelKind, LabelLossConfig


class AbsoluteErrorConfig(LabelLossConfig):
    """Absolute error: predictions tend to the median."""

    of_labels: ClassVar[tuple[LabelKind, ...]] = ("number",)

    type: Literal["mae"]
