"""Metrics that follow from counts at thresholds, of each class against the rest."""

from __future__ import annotations

import torch

from graphstorm_like.config.metrics import OfClassConfig
from graphstorm_like.tasks.metrics.base import LabelFacts, Sums
from graphstorm_like.tasks.metrics.summed import TorchMetric


class CurveMetric(TorchMetric):
    """`build` gives a metric without an average over classes. Its only state holds counts [thresholds, C, is of the
    class, is predicted]."""

    needs_others = False
    """Whether a class says nothing when all rows are its own."""

    config: OfClassConfig

    def __init__(self, config: OfClassConfig, facts: LabelFacts) -> None:
        super().__init__(config, facts)
        self.only = None if config.of_class is None else facts.position(config.of_class)

    def value(self, sums: Sums) -> float:
        """See Metric. The mean over classes with a row: torchmetrics counts the others as 0."""
        scores = self._scores(sums)
        of_others, of_class = torch.from_numpy(sums).reshape(-1, len(scores), 2, 2)[0].sum(dim=2).T
        counts = (of_class > 0) & (of_others > 0) if self.needs_others else of_class > 0
        if self.only is not None:
            return float(scores[self.only]) if bool(counts[self.only]) else 0.0
        return float(scores[counts].mean()) if bool(counts.any()) else 0.0

    def _scores(self, sums: Sums) -> torch.Tensor:
        """[C] of the classes."""
        return self._computed(sums).reshape(-1)
