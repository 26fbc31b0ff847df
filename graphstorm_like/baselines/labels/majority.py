"""No inputs at all: the most frequent class; the mean or the median."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from graphstorm_like.baselines.labels.base import LabelBaseline, LabelData, Numbers
from graphstorm_like.baselines.outcome import Setting


class Majority(LabelBaseline):
    """The shares of the classes among the training rows, whose largest is the prediction; or one number for all."""

    name = "majority"

    def unfit(self, data: LabelData) -> str | None:
        """See LabelBaseline."""
        return None

    def settings(self, data: LabelData) -> Iterator[Setting]:
        """See LabelBaseline."""
        if data.classes:
            yield _constant(data, "most frequent class", data.prior)
            return
        yield _constant(data, "mean", np.asarray(data.train_labels.mean()))
        yield _constant(data, "median", np.asarray(np.median(data.train_labels)))


def _constant(data: LabelData, name: str, answer: Numbers) -> Setting:
    rows = np.broadcast_to(answer, (len(data.ids), *np.shape(answer)))
    return data.settings(name, rows, lambda part: part)
