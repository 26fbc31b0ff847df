"""Adafactor."""

from __future__ import annotations

import torch

from graphstorm_like.config.optimizers import AdafactorConfig
from graphstorm_like.training.optimizers.base import OPTIMIZERS, Groups


@OPTIMIZERS.register(AdafactorConfig)
def adafactor(config: AdafactorConfig, groups: Groups) -> torch.optim.Optimizer:
    """torch's, whose step is scaled by the root mean square of the weights."""
    return torch.optim.Adafactor(groups, beta2_decay=config.beta2_decay, d=config.clip)
