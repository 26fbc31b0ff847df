"""Texts alone: TF-IDF and a linear model."""

from __future__ import annotations

from collections.abc import Iterator

from graphstorm_like.baselines.labels.base import LabelBaseline, LabelData
from graphstorm_like.baselines.labels.linear import few_classes, linear_settings
from graphstorm_like.baselines.outcome import Setting


class TextLinear(LabelBaseline):
    """A linear model of the words and pairs of words of all texts."""

    name = "TF-IDF, linear"

    def unfit(self, data: LabelData) -> str | None:
        """See LabelBaseline."""
        if not data.has_text:
            return "there is no text"
        return few_classes(data) or (None if data.terms.shape[1] else "the texts have no words")

    def settings(self, data: LabelData) -> Iterator[Setting]:
        """See LabelBaseline."""
        return linear_settings(data, data.terms)
