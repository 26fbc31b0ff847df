"""Hits at k."""

from __future__ import annotations

import numpy as np

from graphstorm_like.config.metrics import HitsConfig
from graphstorm_like.tasks.metrics.base import METRICS, Metric, Numbers, Sums


@METRICS.register(HitsConfig)
class Hits(Metric):
    """mean(rank <= k). Sums: ranks up to k, rows."""

    config: HitsConfig

    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """See Metric."""
        return np.array([np.sum(predicted <= self.config.k), len(labels)], dtype=np.float64)

    def value(self, sums: Sums) -> float:
        """See Metric."""
        return float(sums[0] / sums[1])
