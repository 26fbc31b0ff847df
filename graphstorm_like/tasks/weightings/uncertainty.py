"""Uncertainty weighting (Kendall, Gal and Cipolla, CVPR 2018), s_t learnt from 0:

loss = sum_t p_t (exp(-s_t) L_t + s_t)

The best s_t of a constant loss is log L_t, so that each task's part tends to the same size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from graphstorm_like.config.task_weightings import UncertaintyWeightingConfig
from graphstorm_like.tasks.weightings.base import WEIGHTINGS, StepLosses, TaskWeighting


@WEIGHTINGS.register(UncertaintyWeightingConfig)
class UncertaintyWeighting(TaskWeighting):
    """See module."""

    def __init__(self, config: UncertaintyWeightingConfig, priors: Tensor, shared: int) -> None:
        super().__init__(config, priors, shared)
        self.register_buffer("priors", priors.clone())
        self.log_variance = nn.Parameter(torch.zeros(len(priors)))

    def combine(self, step: StepLosses, shared: Sequence[Tensor]) -> Tensor:
        """See TaskWeighting. Each rank adds its part of s."""
        weights = self.get_buffer("priors") * torch.exp(-self.log_variance)
        self.weights.copy_(weights.detach())
        own = torch.stack(list(step.own))
        penalty = self.get_buffer("priors") * self.log_variance / step.group.size
        return (weights * own + penalty).sum()
