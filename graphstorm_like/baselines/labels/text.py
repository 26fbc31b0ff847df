"""Texts alone: TF-IDF and a linear model."""

from __future__ import annotations

from collections.abc import Iterator

from graphstorm_like.baselines.base import Baseline
from graphstorm_like.baselines.labels.base import LABELS, LabelData
from graphstorm_like.baselines.outcome import Setting


@LABELS.register
class TextLinear(Baseline[LabelData]):
    """A linear model of the words and pairs of words of all texts."""

    name, reads = "TF-IDF, linear", "text"

    def unfit(self, data: LabelData) -> str | None:
        """See Baseline."""
        if not data.has_text:
            return "there is no text"
        return data.kind.unfit() or (None if data.terms.shape[1] else "the texts have no words")

    def estimate(self, data: LabelData) -> float:
        """See Baseline."""
        return 5e-7 * data.text_bytes * max(1, data.kind.classes)

    def settings(self, data: LabelData) -> Iterator[Setting]:
        """See Baseline."""
        return data.settings(data.terms, data.kind.machines(data.terms[data.part["train"]]))
