"""Area under the ROC curve, from counts at thresholds."""

from __future__ import annotations

from typing import Any

from graphstorm_like.config.metrics import RocAucConfig
from graphstorm_like.tasks.metrics.base import METRICS
from graphstorm_like.tasks.metrics.curves import CurveMetric
from graphstorm_like.tasks.metrics.engine import torchmetrics


@METRICS.register(RocAucConfig)
class RocAuc(CurveMetric):
    """Area under the ROC curve of each class against the rest, the mean over classes that have a row and others
    beside it."""

    config: RocAucConfig
    needs_others = True

    def build(self) -> Any:
        """See CurveMetric."""
        name = "MulticlassAUROC" if self.facts.threshold is None else "MultilabelAUROC"
        of_labels: Any = getattr(torchmetrics("classification"), name)
        return of_labels(self.facts.classes, average="none", thresholds=self.config.thresholds, validate_args=False)
