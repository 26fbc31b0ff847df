"""An optimizer's operator: (its configuration, groups of parameters) -> a torch optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

from graphstorm_like.config.optimizers import OptimizerConfig
from graphstorm_like.registry import Registry

Groups = list[dict[str, Any]]
"""Each has params, lr and weight_decay."""
OPTIMIZERS: Registry[Callable[[Any, Groups], Optimizer]] = Registry("optimizer", "graphstorm_like.training.optimizers")


def build_optimizer(config: OptimizerConfig, groups: Groups) -> Optimizer:
    """The optimizer of a configuration. ConfigError when torch refuses its settings."""
    return OPTIMIZERS.of(config)(config, groups)


def check_optimizer(config: OptimizerConfig) -> None:
    """Raise now the ConfigError that would end the training later."""
    weights = [torch.zeros(2, 2, requires_grad=True), torch.zeros(2, requires_grad=True)]
    build_optimizer(config, [{"params": weights, "lr": 1e-3, "weight_decay": 0.0}])
