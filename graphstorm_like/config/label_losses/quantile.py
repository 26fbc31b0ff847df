"""`task.loss.type: quantile`"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from graphstorm_like.config.label_losses.base import LabelKind, LabelLossConfig


class QuantileLossConfig(LabelLossConfig):
    """Pinball loss (Koenker and Bassett 1978): predictions tend to a quantile of the labels."""

    of_labels: ClassVar[tuple[LabelKind, ...]] = ("number",)

    type: Literal["quantile"]
    quantile: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    """0.9: nine of ten labels lie below the prediction."""
