"""A metric of your own: the mean of -log(probability of the true class). Lower is better.

plugins: [./metric_log_loss.py]
task: { type: node_classification, metrics: [accuracy, log_loss], select_by: log_loss, ... }
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from graphstorm_like.config.metrics import Measured, MetricConfig
from graphstorm_like.tasks.metrics import METRICS, Metric, Numbers, Sums


class LogLossConfig(MetricConfig):
    """Mean negative log-likelihood of the true class."""

    measures: ClassVar[Measured] = "classes"
    higher_is_better: ClassVar[bool] = False

    type: Literal["log_loss"]


@METRICS.register(LogLossConfig)
class LogLoss(Metric):
    """Sums over rows, which add up over ranks: the losses, and how many there are."""

    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """Probabilities [n, C] and labels [n] -> [2]."""
        of_truth = predicted[np.arange(len(labels)), labels].astype(np.float64)
        return np.array([-np.log(of_truth.clip(min=1e-12)).sum(), len(labels)])

    def value(self, sums: Sums) -> float:
        """The mean."""
        return float(sums[0] / max(sums[1], 1.0))
