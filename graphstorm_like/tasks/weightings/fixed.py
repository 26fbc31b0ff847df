"""Fixed weights: loss = sum_t w_t L_t."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from graphstorm_like.config.task_weightings import FixedWeightingConfig
from graphstorm_like.tasks.weightings.base import WEIGHTINGS, StepLosses, TaskWeighting


@WEIGHTINGS.register(FixedWeightingConfig)
class FixedWeighting(TaskWeighting):
    """See module."""

    def combine(self, step: StepLosses, shared: Sequence[Tensor]) -> Tensor:
        """See TaskWeighting."""
        return self.weighted(step)
