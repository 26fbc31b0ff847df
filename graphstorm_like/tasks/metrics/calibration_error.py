"""Expected calibration error (Guo et al., ICML 2017)."""

from __future__ import annotations

import numpy as np

from graphstorm_like.config.metrics import CalibrationErrorConfig
from graphstorm_like.tasks.metrics.base import METRICS, Metric, Numbers, Sums


@METRICS.register(CalibrationErrorConfig)
class CalibrationError(Metric):
    """sum over bins of |rows where the likeliest class is right - sum of its probabilities| / rows. Sums: both, and
    rows, of each bin."""

    config: CalibrationErrorConfig

    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """See Metric."""
        bins = self.config.bins
        if not len(labels):
            return np.zeros(3 * bins)
        likeliest = predicted.argmax(axis=1)
        probability = predicted.max(axis=1).astype(np.float64)
        bin_of = np.minimum((probability * bins).astype(np.int64), bins - 1)
        parts = [(likeliest == labels).astype(np.float64), probability, np.ones(len(labels))]
        return np.concatenate([np.bincount(bin_of, weights=part, minlength=bins) for part in parts])

    def value(self, sums: Sums) -> float:
        """See Metric."""
        right, probability, rows = np.split(sums, 3)
        return float(np.abs(right - probability).sum() / max(rows.sum(), 1.0))
