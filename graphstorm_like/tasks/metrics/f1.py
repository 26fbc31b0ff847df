"""F1 of classes: macro, micro, weighted."""

from __future__ import annotations

from typing import Any

from graphstorm_like.config.metrics.f1 import F1Config
from graphstorm_like.tasks.metrics.base import METRICS
from graphstorm_like.tasks.metrics.summed import TorchMetric


@METRICS.register(F1Config)
class F1(TorchMetric):
    """2 * right / (labels of the class + predictions of it), averaged over classes."""

    def build(self) -> Any:
        """See TorchMetric."""
        from torchmetrics.classification import MulticlassF1Score

        average = self.config.type.removesuffix("_f1")
        return MulticlassF1Score(self.facts.classes, average=average, validate_args=False)  # type: ignore[arg-type]
