"""Features alone: logistic regression, or ridge regression of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graphstorm_like.baselines.base import Baseline
from graphstorm_like.baselines.labels.base import LABELS, LabelData
from graphstorm_like.baselines.outcome import Setting

FILLED = 0.25
"""Columns with a larger share of numbers other than 0 get a mean of 0."""


@LABELS.register
class FeatureLinear(Baseline[LabelData]):
    """Logistic or ridge regression on the features that the model reads, standardised."""

    name, reads = "features, linear", "features"

    def unfit(self, data: LabelData) -> str | None:
        """See Baseline."""
        return data.kind.unfit() if data.feature_width else "the model reads no features of the rows"

    def estimate(self, data: LabelData) -> float:
        """See Baseline."""
        return 2e-6 * len(data.ids) * data.feature_width * max(1, data.kind.classes)

    def settings(self, data: LabelData) -> Iterator[Setting]:
        """See Baseline."""
        rows = _standardised(data.feature_entries, data.part["train"])
        return data.settings(rows, data.kind.regressions(rows[data.part["train"]]))


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
