"""R2, the coefficient of determination."""

from __future__ import annotations

from typing import Any

from graphstorm_like.config.metrics.r2 import R2Config
from graphstorm_like.tasks.metrics.base import METRICS, Numbers, Sums
from graphstorm_like.tasks.metrics.summed import TorchMetric


@METRICS.register(R2Config)
class R2(TorchMetric):
    """1 - sum((predicted - label)^2) / sum((label - mean)^2)

    On numbers standardised by the training labels, which changes nothing: the sum of the squares of large labels would
    have no digits left for their distances from the mean.
    """

    def build(self) -> Any:
        """See TorchMetric."""
        from torchmetrics.regression import R2Score

        return R2Score()

    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """See Metric."""
        return super().sums(self._standard(predicted), self._standard(labels))

    def value(self, sums: Sums) -> float:
        """See Metric. Of one row, whose label is the mean, it is 1 or 0 as of equal labels."""
        squared, rows = self._squared_and_rows(sums)
        return super().value(sums) if rows > 1 else float(squared == 0.0)

    def _standard(self, numbers: Numbers) -> Numbers:
        standard: Numbers = (numbers.astype("float64") - self.facts.center) / self.facts.spread
        return standard

    def _squared_and_rows(self, sums: Sums) -> tuple[float, float]:
        names = list(self._fresh().metric_state)
        return float(sums[names.index("residual")]), float(sums[names.index("total")])
