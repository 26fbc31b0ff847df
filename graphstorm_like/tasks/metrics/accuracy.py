"""Accuracy."""

from __future__ import annotations

from typing import Any

from graphstorm_like.config.metrics import AccuracyConfig
from graphstorm_like.tasks.metrics.base import METRICS
from graphstorm_like.tasks.metrics.engine import torchmetrics
from graphstorm_like.tasks.metrics.summed import TorchMetric


@METRICS.register(AccuracyConfig)
class Accuracy(TorchMetric):
    """Rows whose likeliest class is the right one / rows."""

    def build(self) -> Any:
        """See TorchMetric."""
        return torchmetrics("classification").MulticlassAccuracy(
            self.facts.classes, average="micro", validate_args=False
        )
