"""`task.loss.type: mse`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.label_losses.base import LabelKind, LabelLossConfig


class MseConfig(LabelLossConfig):
    """Squared error: predictions tend to the mean."""

    of_labels: ClassVar[tuple[LabelKind, ...]] = ("number",)

    type: Literal["mse"]
