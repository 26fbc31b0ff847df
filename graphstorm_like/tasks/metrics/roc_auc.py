"""Area under the ROC curve, from counts at thresholds."""

from __future__ import annotations

from typing import Any

from graphstorm_like.config.metrics.roc_auc import RocAucConfig
from graphstorm_like.tasks.metrics.base import METRICS
from graphstorm_like.tasks.metrics.summed import TorchMetric


@METRICS.register(RocAucConfig)
class RocAuc(TorchMetric):
    """Area under the ROC curve of each class against the rest, the mean over classes with a row."""

    config: RocAucConfig

    def build(self) -> Any:
        """See TorchMetric."""
        from torchmetrics.classification import MulticlassAUROC

        return MulticlassAUROC(self.facts.classes, thresholds=self.config.thresholds, validate_args=False)
