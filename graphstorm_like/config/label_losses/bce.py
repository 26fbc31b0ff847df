"""`task.loss.type: bce`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.label_losses.base import LabelKind, LabelLossConfig


class BceConfig(LabelLossConfig):
    """Binary cross-entropy of each class, the mean over classes."""

    of_labels: ClassVar[tuple[LabelKind, ...]] = ("classes",)

    type: Literal["bce"]
