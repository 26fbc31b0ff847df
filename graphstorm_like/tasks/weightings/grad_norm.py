"""GradNorm (Chen et al., ICML 2018), with the norms over all shared weights.

G_t = w_t |g_t|; target_t = mean(G) r_t^alpha with r_t = (L_t / L_t at first) / mean of these; one step on
sum_t |G_t - target_t| in w, targets held: w_t <- w_t - eta |g_t| / mean(|g|) sign(G_t - target_t), scaled to the sum T.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from graphstorm_like.config.task_weightings import GradNormConfig
from graphstorm_like.tasks.weightings.base import WEIGHTINGS, AdaptiveWeighting, StepLosses, task_gradients


@WEIGHTINGS.register(GradNormConfig)
class GradNorm(AdaptiveWeighting):
    """See module."""

    reads_gradients = True

    def __init__(self, config: GradNormConfig, priors: Tensor, shared: int) -> None:
        super().__init__(config, priors, shared)
        self.alpha = config.alpha
        self.register_buffer("first", torch.zeros(len(priors)))

    def change(self, step: StepLosses, shared: Sequence[Tensor], warm: bool) -> Tensor | None:
        """See AdaptiveWeighting."""
        first = self.get_buffer("first")
        if not bool(first.any()):
            first.copy_(step.means)
        if not warm:
            return None
        norms = task_gradients(step, shared).norm(dim=1)
        ratios = step.means / first.clamp(min=1e-12)
        rates = ratios / ratios.mean().clamp(min=1e-12)
        sizes = self.weights * norms
        target = sizes.mean() * rates**self.alpha
        change = self.settings.step_size * norms / norms.mean().clamp(min=1e-12) * torch.sign(sizes - target)
        changed: Tensor = (self.weights - change).clamp(min=1e-6)
        return changed
