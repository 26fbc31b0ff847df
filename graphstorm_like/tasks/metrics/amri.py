"""Adjusted mean rank index (Berrendorf et al. 2020, "On the Ambiguity of Rank-Based Evaluation of Entity Alignment or
Link Prediction Methods")."""

from __future__ import annotations

import numpy as np

from graphstorm_like.config.metrics import AmriConfig
from graphstorm_like.tasks.metrics.base import METRICS, Metric, Numbers, Sums


@METRICS.register(AmriConfig)
class Amri(Metric):
    """1 - (MR - 1) / (E - 1). MR: mean rank; E: what it is by chance, the mean of (candidates + 1) / 2. Where there is
    nothing to tell apart, 0. Sums: ranks, candidates, rows."""

    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """See Metric."""
        return np.array([np.sum(predicted), np.sum(labels), len(labels)], dtype=np.float64)

    def value(self, sums: Sums) -> float:
        """See Metric."""
        ranks, candidates, rows = sums
        others = candidates - rows
        return float(1.0 - 2.0 * (ranks - rows) / others) if others else 0.0
