"""`task.loss`: what tasks on labels minimise.

cross_entropy   one class a row; the default
bce             several classes a row; the default
focal           classes of very different sizes
mse             numbers; the default. Predictions tend to the mean
mae             numbers; predictions tend to the median
huber           numbers with outliers
quantile        a quantile of the numbers, such as the 90th percentile
shrinkage       numbers most of which are easy
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from graphstorm_like.config.base import NonNegativeFloat, PositiveFloat
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


class BceConfig(LabelLossConfig):
    """Binary cross-entropy of each class, the mean over classes."""

    of_labels: ClassVar[tuple[LabelKind, ...]] = ("classes",)

    type: Literal["bce"]


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


class FocalConfig(LabelLossConfig):
    """Cross-entropy in which rows that are right already count little (Lin et al., ICCV 2017): for classes of very
    different sizes. Of one class a row by softmax (two classes: the binary form), of several by a sigmoid each."""

    of_labels: ClassVar[tuple[LabelKind, ...]] = ("class", "classes")

    type: Literal["focal"]
    gamma: NonNegativeFloat = 2.0
    """A row whose label has probability p counts (1 - p)^gamma; 0: cross-entropy."""


class HuberConfig(LabelLossConfig):
    """Squared error near the label, linear beyond `delta`: outliers pull less."""

    of_labels: ClassVar[tuple[LabelKind, ...]] = ("number",)

    type: Literal["huber"]
    delta: PositiveFloat = 1.0
    """In deviations of the training labels."""


class AbsoluteErrorConfig(LabelLossConfig):
    """Absolute error: predictions tend to the median."""

    of_labels: ClassVar[tuple[LabelKind, ...]] = ("number",)

    type: Literal["mae"]


class MseConfig(LabelLossConfig):
    """Squared error: predictions tend to the mean."""

    of_labels: ClassVar[tuple[LabelKind, ...]] = ("number",)

    type: Literal["mse"]


class QuantileLossConfig(LabelLossConfig):
    """Pinball loss (Koenker and Bassett 1978): predictions tend to a quantile of the labels."""

    of_labels: ClassVar[tuple[LabelKind, ...]] = ("number",)

    type: Literal["quantile"]
    quantile: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    """0.9: nine of ten labels lie below the prediction."""


class ShrinkageConfig(LabelLossConfig):
    """Squared error in which easy rows, with an error below `c`, count little (Lu et al., ECCV 2018)."""

    of_labels: ClassVar[tuple[LabelKind, ...]] = ("number",)

    type: Literal["shrinkage"]
    a: PositiveFloat = 10.0
    """How steeply easy and hard rows are told apart."""
    c: PositiveFloat = 0.2
    """The error, in deviations of the training labels, where a row counts half."""
