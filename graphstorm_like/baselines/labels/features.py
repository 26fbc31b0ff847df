"""Features alone: logistic regression, or ridge regression of numbers."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial
from typing import Any

from graphstorm_like.baselines.labels.base import LabelBaseline, LabelData
from graphstorm_like.baselines.labels.linear import RIDGES, class_shares, few_classes
from graphstorm_like.baselines.outcome import Setting

FILLED = 0.25
"""Columns with a larger share of numbers other than 0 get a mean of 0."""
PENALTIES = (0.01, 0.1, 1.0, 10.0)
"""Inverse strengths of regularisation (C)."""


class FeatureLinear(LabelBaseline):
    """Logistic or ridge regression on the features that the model reads, standardised."""

    name = "features, linear"

    def unfit(self, data: LabelData) -> str | None:
        """See LabelBaseline."""
        return few_classes(data) if data.feature_width else "the model reads no features of the rows"

    def settings(self, data: LabelData) -> Iterator[Setting]:
        """See LabelBaseline."""
        from sklearn.linear_model import LogisticRegression, Ridge

        rows = _standardised(data.feature_entries, data.part["train"])
        train = rows[data.part["train"]]
        if not data.classes:
            for alpha in RIDGES:
                yield data.settings(f"alpha {alpha:g}", rows, Ridge(alpha=alpha).fit(train, data.train_labels).predict)
            return
        model = LogisticRegression(max_iter=300, warm_start=True)  # from the weights of the stronger penalty
        for penalty in PENALTIES:
            model.set_params(C=penalty).fit(train, data.train_labels)
            yield data.settings(f"C {penalty:g}", rows, partial(class_shares, copy.deepcopy(model), data.classes))


def _standardised(rows: Any, train: slice) -> Any:
    """Columns of sparse rows [n, F] with a deviation of 1, and of those that are filled also with a mean of 0.

    A linear model with an intercept is the same without the latter. So columns of categories stay sparse, which is
    hundreds of times faster where there are many; filled ones far from 0 would let the fit take very many steps.
    """
    import scipy.sparse as sp
    from sklearn.preprocessing import StandardScaler

    is_filled = rows[train].getnnz(axis=0) > FILLED * (train.stop - train.start)
    filled, sparse = rows[:, is_filled].toarray(), rows[:, ~is_filled]
    parts = []
    if filled.shape[1]:
        parts.append(StandardScaler().fit(filled[train]).transform(filled))
    if not sparse.shape[1]:
        return parts[0]
    parts.append(StandardScaler(with_mean=False).fit(sparse[train]).transform(sparse))
    return sp.hstack([sp.csr_matrix(part) for part in parts]).tocsr()
