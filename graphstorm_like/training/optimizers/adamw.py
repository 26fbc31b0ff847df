"""AdamW."""

from __future__ import annotations

import torch

from graphstorm_like.config.optimizers import AdamWConfig
from graphstorm_like.training.optimizers.base import OPTIMIZERS, Groups


@OPTIMIZERS.register(AdamWConfig)
def adamw(config: AdamWConfig, groups: Groups) -> torch.optim.Optimizer:
    """Fused: one pass over weights, gradients and moments instead of ten; it matters for language models."""
    return torch.optim.AdamW(groups, betas=(config.beta1, config.beta2), eps=config.eps, fused=True)
