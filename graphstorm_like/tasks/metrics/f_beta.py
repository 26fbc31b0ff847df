"""F of precision and recall, of which one counts more (van Rijsbergen 1979)."""

from __future__ import annotations

import numpy as np

from graphstorm_like.config.metrics import FBetaConfig
from graphstorm_like.tasks.metrics.base import METRICS, LabelFacts, Metric, Numbers, Sums


@METRICS.register(FBetaConfig)
class FBeta(Metric):
    """(1 + b^2) right / (predictions + b^2 labels) of a class, which is (1 + b^2) P R / (b^2 P + R); the mean over the
    classes with labels or predictions, or of one class. Sums: right [C], predictions [C], labels [C]."""

    config: FBetaConfig

    def __init__(self, config: FBetaConfig, facts: LabelFacts) -> None:
        super().__init__(config, facts)
        self.only = None if config.of_class is None else facts.position(config.of_class)

    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """See Metric."""
        classes, threshold = self.facts.classes, self.facts.threshold
        if threshold is not None:
            found, has = predicted > threshold, labels > 0
            return np.concatenate([part.sum(axis=0) for part in (found & has, found, has)]).astype(np.float64)
        likeliest = predicted.argmax(axis=1)
        parts = [likeliest[likeliest == labels], likeliest, labels]
        return np.concatenate([np.bincount(part, minlength=classes) for part in parts]).astype(np.float64)

    def value(self, sums: Sums) -> float:
        """See Metric."""
        right, predictions, labels = np.split(sums, 3)
        square = self.config.beta**2
        counts = (predictions > 0) | (labels > 0)
        scores = (1.0 + square) * right / np.maximum(predictions + square * labels, 1e-12)
        if self.only is not None:
            return float(scores[self.only])
        return float(scores[counts].mean()) if counts.any() else 0.0
