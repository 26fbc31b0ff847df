"""ExcessMTL (He et al., ICML 2024): weights by estimated excess risk, relative to that of the warm-up.

S_t <- S_t + g_t^2;  e_t = sum_p g_tp^2 / sqrt(S_tp + 1e-7);  w_t <- w_t exp(eta e_t / e_t0), scaled to the sum T

e_t estimates L_t - min L_t by a second-order expansion with a diagonal of Adagrad's kind. e_t0 is the mean of e_t over
the warm-up, at least its first value. g_t: gradients of the task's mean loss in all shared weights, summed over ranks
before they are squared (the mean of the ranks' own e_t would be too large by the noise of their gradients).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from graphstorm_like.config.task_weightings import ExcessRiskConfig
from graphstorm_like.tasks.weightings.base import WEIGHTINGS, AdaptiveWeighting, StepLosses, task_gradients


@WEIGHTINGS.register(ExcessRiskConfig)
class ExcessRisk(AdaptiveWeighting):
    """See module."""

    reads_gradients = True

    def __init__(self, config: ExcessRiskConfig, priors: Tensor, shared: int) -> None:
        super().__init__(config, priors, shared)
        self.register_buffer("squares", torch.zeros(len(priors), shared))
        self.register_buffer("first", torch.zeros(len(priors)))
        self.register_buffer("excess", torch.zeros(len(priors)))
        self.register_buffer("warmed", torch.zeros((), dtype=torch.int64))

    def change(self, step: StepLosses, shared: Sequence[Tensor], warm: bool) -> Tensor | None:
        """See AdaptiveWeighting."""
        squares, first, excess = (self.get_buffer(name) for name in ("squares", "first", "excess"))
        warmed = self.get_buffer("warmed")
        squared = task_gradients(step, shared).square_()
        squares += squared
        excess.copy_((squared / (squares + 1e-7).sqrt()).sum(dim=1))
        if not warm or not int(warmed):
            first += (excess - first) / (int(warmed) + 1)  # the mean so far
            warmed += 1
        if not warm:
            return None
        relative = torch.where(first > 0, excess / first.clamp(min=1e-12), 0.0)  # a task without gradients stays
        return self.grown(self.settings.step_size * relative)
