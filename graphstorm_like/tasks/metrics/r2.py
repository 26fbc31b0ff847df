"""R2, the coefficient of determination."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphstorm_like.config.metrics import R2Config
from graphstorm_like.tasks.metrics.base import METRICS, Numbers, Sums
from graphstorm_like.tasks.metrics.engine import torchmetrics
from graphstorm_like.tasks.metrics.summed import TorchMetric

_STATES = ("sum_squared_error", "sum_error", "residual", "total")
"""Of torchmetrics' R2Score."""
_ROUNDING = 1e-12
"""Squared distances below this share of the squares may be nothing but rounding of equal labels."""


@METRICS.register(R2Config)
class R2(TorchMetric):
    """1 - sum((predicted - label)^2) / sum((label - mean)^2)

    On numbers standardised by the training labels, which changes nothing: the sum of the squares of large labels would
    have no digits left for their distances from the mean.
    """

    def build(self) -> Any:
        """See TorchMetric."""
        return torchmetrics("regression").R2Score()

    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """See Metric."""
        return super().sums(self._standard(predicted), self._standard(labels))

    def value(self, sums: Sums) -> float:
        """See Metric. Of one row, whose label is the mean, it is 1 or 0 as of equal labels."""
        squares, labels, squared, rows = self._parts(sums)
        if rows <= 1:
            return float(squared == 0.0)
        distances = squares - labels * labels / rows
        if distances <= _ROUNDING * squares:
            return super().value(sums)
        # torchmetrics takes sums below 1e-4 for 0, and so they are where an outlier among the training labels has
        # made the spread large: the labels here get a deviation of 1.
        factor = rows / distances
        return super().value(self._sums(squares * factor, labels * np.sqrt(factor), squared * factor, rows))

    def _standard(self, numbers: Numbers) -> Numbers:
        standard: Numbers = (numbers.astype("float64") - self.facts.center) / self.facts.spread
        return standard

    def _parts(self, sums: Sums) -> tuple[float, ...]:
        """Squares of the labels, labels, squared errors, rows: each summed."""
        names = list(self._fresh().metric_state)
        return tuple(float(sums[names.index(name)]) for name in _STATES)

    def _sums(self, *parts: float) -> Sums:
        """The other way round."""
        by_state = dict(zip(_STATES, parts, strict=True))
        return np.array([by_state[name] for name in self._fresh().metric_state])
