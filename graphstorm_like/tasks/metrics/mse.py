"""Mean squared error."""

from __future__ import annotations

import numpy as np

from graphstorm_like.config.metrics import MseConfig
from graphstorm_like.tasks.metrics.base import METRICS, Metric, Numbers, Sums


@METRICS.register(MseConfig)
class Mse(Metric):
    """mean((predicted - label)^2). Sums: squares, rows."""

    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """See Metric. Differences in float64: float32 has 7 digits of large numbers."""
        errors = predicted.astype(np.float64) - labels.astype(np.float64)
        return np.array([np.sum(errors**2), len(labels)], dtype=np.float64)

    def value(self, sums: Sums) -> float:
        """See Metric."""
        return float(sums[0] / sums[1])
