"""Precision where recall is enough, and recall where precision is, from counts at thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from graphstorm_like.config.metrics import AtLeastConfig
from graphstorm_like.tasks.metrics.base import METRICS, Sums
from graphstorm_like.tasks.metrics.curves import CurveMetric
from graphstorm_like.tasks.metrics.engine import torchmetrics


@METRICS.register(AtLeastConfig)
class AtLeast(CurveMetric):
    """max over thresholds t of P(t) with R(t) >= least, or of R(t) with P(t) >= least; rows at or above t are found. A
    threshold at which nothing is found does not count."""

    config: AtLeastConfig

    def build(self) -> Any:
        """See CurveMetric: only its counts are taken."""
        name = "MulticlassPrecisionRecallCurve" if self.facts.threshold is None else "MultilabelPrecisionRecallCurve"
        of_labels: Any = getattr(torchmetrics("classification"), name)
        return of_labels(self.facts.classes, thresholds=self.config.thresholds, validate_args=False)

    def _scores(self, sums: Sums) -> torch.Tensor:
        """See CurveMetric."""
        counts = sums.reshape(self.config.thresholds, self.facts.classes, 2, 2)
        right, found, rows = counts[:, :, 1, 1], counts[:, :, :, 1].sum(axis=2), counts[:, :, 1].sum(axis=2)
        precision, recall = right / np.maximum(found, 1.0), right / np.maximum(rows, 1.0)
        best, other = (precision, recall) if self.config.type == "precision_at_recall" else (recall, precision)
        fits = (other >= self.config.least) & (found > 0)
        return torch.from_numpy(np.where(fits, best, 0.0).max(axis=0))
