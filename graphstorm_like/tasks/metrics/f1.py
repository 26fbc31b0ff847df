"""F1 of classes: macro, micro, weighted."""

from __future__ import annotations

from typing import Any

import torch

from graphstorm_like.config.metrics import F1Config
from graphstorm_like.tasks.metrics.base import METRICS, Sums
from graphstorm_like.tasks.metrics.engine import torchmetrics
from graphstorm_like.tasks.metrics.summed import TorchMetric


@METRICS.register(F1Config)
class F1(TorchMetric):
    """2 * right / (labels of the class + predictions of it), averaged over classes."""

    def build(self) -> Any:
        """See TorchMetric."""
        average: Any = self.config.type.removesuffix("_f1")
        classes, threshold = self.facts.classes, self.facts.threshold
        if threshold is None:
            return torchmetrics("classification").MulticlassF1Score(classes, average=average, validate_args=False)
        average = "none" if average == "macro" else average
        return torchmetrics("classification").MultilabelF1Score(
            classes, threshold, average=average, validate_args=False
        )

    def value(self, sums: Sums) -> float:
        """See Metric. Of several labels a row, torchmetrics would count classes that are neither labels nor
        predictions as 0 in the mean; here they do not count, as of one label a row."""
        if self.facts.threshold is None or self.config.type != "macro_f1":
            return super().value(sums)
        scores = self._computed(sums).reshape(-1)
        right, wrong, _, missed = torch.from_numpy(sums).reshape(4, len(scores))
        occurs = right + wrong + missed > 0
        return float(scores[occurs].mean()) if bool(occurs.any()) else 0.0
