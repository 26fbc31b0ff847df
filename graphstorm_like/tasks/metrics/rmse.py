"""Root mean squared error."""

from __future__ import annotations

from typing import Any

from graphstorm_like.config.metrics import RmseConfig
from graphstorm_like.tasks.metrics.base import METRICS, Numbers, Sums
from graphstorm_like.tasks.metrics.engine import torchmetrics
from graphstorm_like.tasks.metrics.summed import TorchMetric


@METRICS.register(RmseConfig)
class Rmse(TorchMetric):
    """sqrt(mean((predicted - label)^2))"""

    def build(self) -> Any:
        """See TorchMetric."""
        return torchmetrics("regression").MeanSquaredError(squared=False)

    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """See Metric. Differences in float64: float32 has 7 digits of large numbers."""
        return super().sums(predicted.astype("float64"), labels.astype("float64"))
