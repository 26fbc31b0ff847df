"""Stochastic gradient descent: v = momentum v + g + decay w; w = w - lr v."""

from __future__ import annotations

import torch

from graphstorm_like.config.optimizers import SgdConfig
from graphstorm_like.training.optimizers.base import OPTIMIZERS, Groups


@OPTIMIZERS.register(SgdConfig)
def sgd(config: SgdConfig, groups: Groups) -> torch.optim.Optimizer:
    """torch adds the decay to the gradient, so that momentum holds it too."""
    return torch.optim.SGD(groups, momentum=config.momentum, nesterov=config.nesterov)
