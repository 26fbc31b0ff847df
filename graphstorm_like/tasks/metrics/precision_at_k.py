"""Precision among the rows with the highest probabilities, from counts at thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from graphstorm_like.config.metrics import PrecisionAtKConfig
from graphstorm_like.tasks.metrics.base import METRICS, Sums
from graphstorm_like.tasks.metrics.curves import CurveMetric
from graphstorm_like.tasks.metrics.engine import torchmetrics


@METRICS.register(PrecisionAtKConfig)
class PrecisionAtK(CurveMetric):
    """right(k) / k, where right(f) of f found rows is known at each threshold and linear between two of them."""

    config: PrecisionAtKConfig

    def build(self) -> Any:
        """See CurveMetric: only its counts are taken."""
        name = "MulticlassPrecisionRecallCurve" if self.facts.threshold is None else "MultilabelPrecisionRecallCurve"
        of_labels: Any = getattr(torchmetrics("classification"), name)
        return of_labels(self.facts.classes, thresholds=self.config.thresholds, validate_args=False)

    def _scores(self, sums: Sums) -> torch.Tensor:
        """See CurveMetric."""
        counts = sums.reshape(self.config.thresholds, self.facts.classes, 2, 2)[::-1]
        right, found = counts[:, :, 1, 1], counts[:, :, :, 1].sum(axis=2)
        scores = []
        for of_class, rows in zip(right.T, found.T, strict=True):
            k = min(float(self.config.k), rows[-1])
            scores.append(np.interp(k, np.append(0.0, rows), np.append(0.0, of_class)) / max(k, 1.0))
        return torch.tensor(scores, dtype=torch.float64)
