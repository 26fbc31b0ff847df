"""Mean reciprocal rank."""

from __future__ import annotations

import numpy as np

from graphstorm_like.config.metrics import MrrConfig
from graphstorm_like.tasks.metrics.base import METRICS, Metric, Numbers, Sums


@METRICS.register(MrrConfig)
class Mrr(Metric):
    """mean(1 / rank). Sums: 1 / rank, rows."""

    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """See Metric."""
        return np.array([np.sum(1.0 / predicted), len(labels)], dtype=np.float64)

    def value(self, sums: Sums) -> float:
        """See Metric."""
        return float(sums[0] / sums[1])
