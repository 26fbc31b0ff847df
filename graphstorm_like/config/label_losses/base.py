"""What every loss of labels has in its configuration, and the short form: `huber` for `{type: huber}`."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from graphstorm_like.config.choice import Choice
from graphstorm_like.config.short_form import ShortForm

LabelKind = Literal["class", "classes", "number"]
"""One class a row, any number of them, or a number."""


class LabelLossConfig(Choice, tag="type"):
    """The head's outputs and the labels -> a loss."""

    of_labels: ClassVar[tuple[LabelKind, ...]]
    """The kinds of labels that it is for."""

    type: str

    @property
    def smoothing(self) -> float:
        """How much of a class label's probability it spreads over all classes."""
        return 0.0


class LossOf(ShortForm):
    """A loss of one kind of labels."""

    family = LabelLossConfig

    def __init__(self, kind: LabelKind) -> None:
        self.kind = kind

    def fits(self, member: Any) -> bool:
        """See ShortForm."""
        return self.kind in member.of_labels
