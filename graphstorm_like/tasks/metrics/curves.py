"""Metrics that follow from counts at thresholds, of each class against the rest."""

from __future__ import annotations

import torch

from graphstorm_like.tasks.metrics.base import Sums
from graphstorm_like.tasks.metrics.summed import TorchMetric


class CurveMetric(TorchMetric):
    """`build` gives a metric without an average over classes. Its only state holds counts [thresholds, C, is of the
    class, is predicted]."""

    needs_others = False
    """Whether a class says nothing when all rows are its own."""

    def value(self, sums: Sums) -> float:
        """See Metric. The mean over classes with a row: torchmetrics counts the others as 0."""
        scores = self._computed(sums).reshape(-1)
        of_others, of_class = torch.from_numpy(sums).reshape(-1, len(scores), 2, 2)[0].sum(dim=2).T
        counts = (of_class > 0) & (of_others > 0) if self.needs_others else of_class > 0
        return float(scores[counts].mean()) if bool(counts.any()) else 0.0
