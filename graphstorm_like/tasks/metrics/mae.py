"""Mean absolute error."""

from __future__ import annotations

from typing import Any

from graphstorm_like.config.metrics import MaeConfig
from graphstorm_like.tasks.metrics.base import METRICS, Numbers, Sums
from graphstorm_like.tasks.metrics.engine import torchmetrics
from graphstorm_like.tasks.metrics.summed import TorchMetric


@METRICS.register(MaeConfig)
class Mae(TorchMetric):
    """mean(|predicted - label|)"""

    def build(self) -> Any:
        """See TorchMetric."""
        return torchmetrics("regression").MeanAbsoluteError()

    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """See Metric. Differences in float64: float32 has 7 digits of large numbers."""
        return super().sums(predicted.astype("float64"), labels.astype("float64"))
