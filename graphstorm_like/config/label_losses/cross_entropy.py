"""`task.loss.type: cross_entropy`"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from graphstorm_like.config.label_losses.base import LabelKind, LabelLossConfig


class ClassCrossEntropyConfig(LabelLossConfig):
    """Softmax cross-entropy over the classes."""

    of_labels: ClassVar[tuple[LabelKind, ...]] = ("class",)

    type: Literal["cross_entropy"]
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """This much of the label's probability is spread over all classes."""

    @property
    def smoothing(self) -> float:
        """See LabelLossConfig."""
        return self.label_smoothing
