"""Average precision, from counts at thresholds."""

from __future__ import annotations

from typing import Any

from graphstorm_like.config.metrics import AveragePrecisionConfig
from graphstorm_like.tasks.metrics.base import METRICS
from graphstorm_like.tasks.metrics.curves import CurveMetric
from graphstorm_like.tasks.metrics.engine import torchmetrics


@METRICS.register(AveragePrecisionConfig)
class AveragePrecision(CurveMetric):
    """Average precision of each class against the rest, the mean over classes with a row."""

    config: AveragePrecisionConfig

    def build(self) -> Any:
        """See CurveMetric."""
        name = "MulticlassAveragePrecision" if self.facts.threshold is None else "MultilabelAveragePrecision"
        of_labels: Any = getattr(torchmetrics("classification"), name)
        return of_labels(self.facts.classes, average="none", thresholds=self.config.thresholds, validate_args=False)
