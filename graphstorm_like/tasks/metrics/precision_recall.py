"""Precision and recall of classes, macro."""

from __future__ import annotations

import numpy as np

from graphstorm_like.config.metrics import PrecisionRecallConfig
from graphstorm_like.tasks.metrics.base import METRICS, Metric, Numbers, Sums


@METRICS.register(PrecisionRecallConfig)
class PrecisionRecall(Metric):
    """right / predictions, or right / labels, of each class; their mean. A class without predictions has precision 0,
    one without labels recall 0. Sums: right [C], predictions [C], labels [C]."""

    config: PrecisionRecallConfig

    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """See Metric."""
        classes, likeliest = self.facts.classes, predicted.argmax(axis=1)
        parts = [likeliest[likeliest == labels], likeliest, labels]
        return np.concatenate([np.bincount(part, minlength=classes) for part in parts]).astype(np.float64)

    def value(self, sums: Sums) -> float:
        """See Metric."""
        right, predictions, labels = np.split(sums, 3)
        counts = (predictions > 0) | (labels > 0)
        of = predictions if self.config.type == "macro_precision" else labels
        shares = right[counts] / np.maximum(of[counts], 1.0)
        return float(shares.mean()) if len(shares) else 0.0
