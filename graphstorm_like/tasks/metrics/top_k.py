"""Accuracy among the k likeliest classes."""

from __future__ import annotations

import numpy as np

from graphstorm_like.config.metrics import TopKConfig
from graphstorm_like.tasks.metrics.base import METRICS, Metric, Numbers, Sums


@METRICS.register(TopKConfig)
class TopK(Metric):
    """Rows of whose class at most k - 1 others are as likely or likelier / rows. Sums: these rows, rows."""

    config: TopKConfig

    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """See Metric."""
        if not len(labels):
            return np.zeros(2)
        of_class = np.take_along_axis(predicted, labels[:, None].astype(np.int64), axis=1)
        not_below = (predicted >= of_class).sum(axis=1)  # the class itself among them
        return np.array([np.sum(not_below <= self.config.k), len(labels)], dtype=np.float64)

    def value(self, sums: Sums) -> float:
        """See Metric."""
        return float(sums[0] / sums[1])
