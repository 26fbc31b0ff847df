"""Normalised discounted cumulative gain (Jarvelin and Kekalainen, TOIS 2002) of one true answer among candidates."""

from __future__ import annotations

import numpy as np

from graphstorm_like.config.metrics import NdcgConfig
from graphstorm_like.tasks.metrics.base import METRICS, Metric, Numbers, Sums


@METRICS.register(NdcgConfig)
class Ndcg(Metric):
    """mean(1 / log2(1 + rank)), 0 beyond rank k: the ideal gain of one answer is 1. Sums: gains, rows."""

    config: NdcgConfig

    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """See Metric."""
        gains = 1.0 / np.log2(1.0 + predicted)
        if self.config.k is not None:
            gains = np.where(predicted <= self.config.k, gains, 0.0)
        return np.array([np.sum(gains), len(labels)], dtype=np.float64)

    def value(self, sums: Sums) -> float:
        """See Metric."""
        return float(sums[0] / sums[1])
