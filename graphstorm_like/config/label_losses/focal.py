"""`task.loss.type: focal`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.base import NonNegativeFloat
from graphstorm_like.config.label_losses.base import LabelKind, LabelLossConfig


class FocalConfig(LabelLossConfig):
    """Cross-entropy in which rows that are right already count little (Lin et al., ICCV 2017): for classes of very
    different sizes. Of one class a row by softmax (two classes: the binary form), of several by a sigmoid each."""

    of_labels: ClassVar[tuple[LabelKind, ...]] = ("class", "classes")

    type: Literal["focal"]
    gamma: NonNegativeFloat = 2.0
    """A row whose label has probability p counts (1 - p)^gamma; 0: cross-entropy."""
