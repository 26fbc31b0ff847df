"""Features alone: logistic regression, or ridge regression of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from graphstorm_like.baselines.labels.base import LabelBaseline, LabelData
from graphstorm_like.baselines.labels.linear import RIDGES, class_shares, few_classes
from graphstorm_like.baselines.outcome import Setting

PENALTIES = (0.01, 0.1, 1.0, 10.0)
"""Inverse strengths of regularisation (C)."""


class FeatureLinear(LabelBaseline):
    """Logistic or ridge regression on the features that the model reads, standardised."""

    name = "features, linear"

    def unfit(self, data: LabelData) -> str | None:
        """See LabelBaseline."""
        return few_classes(data) if data.features.shape[1] else "the model reads no features of the rows"

    def settings(self, data: LabelData) -> Iterator[Setting]:
        """See LabelBaseline."""
        from sklearn.linear_model import LogisticRegression, Ridge
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler().fit(data.features[data.part["train"]])
        rows = scaler.transform(data.features)
        train = rows[data.part["train"]]
        if not data.classes:
            for alpha in RIDGES:
                yield data.settings(f"alpha {alpha:g}", rows, Ridge(alpha=alpha).fit(train, data.train_labels).predict)
            return
        for penalty in PENALTIES:
            model = LogisticRegression(C=penalty, max_iter=300).fit(train, data.train_labels)
            yield data.settings(
                f"C {penalty:g}",
                rows,
                partial(class_shares, model, data.classes),
            )
