"""Optimizers of dense weights. graphstorm_like/config/optimizers.py says when to use which."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

from graphstorm_like.config.optimizers import (
    AdafactorConfig,
    AdamWConfig,
    OptimizerConfig,
    SgdConfig,
    TorchOptimizerConfig,
)
from graphstorm_like.errors import ConfigError, did_you_mean
from graphstorm_like.registry import Registry

Groups = list[dict[str, Any]]
"""Each has params, lr and weight_decay."""
OPTIMIZERS: Registry[Callable[[Any, Groups], Optimizer]] = Registry("optimizer")


def build_optimizer(config: OptimizerConfig, groups: Groups) -> Optimizer:
    """The optimizer of a configuration. ConfigError when torch refuses its settings."""
    return OPTIMIZERS.of(config)(config, groups)


def check_optimizer(config: OptimizerConfig) -> None:
    """Raise now the ConfigError that would end the training later."""
    weights = [torch.zeros(2, 2, requires_grad=True), torch.zeros(2, requires_grad=True)]
    build_optimizer(config, [{"params": weights, "lr": 1e-3, "weight_decay": 0.0}])


@OPTIMIZERS.register(AdafactorConfig)
def adafactor(config: AdafactorConfig, groups: Groups) -> torch.optim.Optimizer:
    """torch's, whose step is scaled by the root mean square of the weights."""
    return torch.optim.Adafactor(groups, beta2_decay=config.beta2_decay, d=config.clip)


@OPTIMIZERS.register(AdamWConfig)
def adamw(config: AdamWConfig, groups: Groups) -> torch.optim.Optimizer:
    """Fused: one pass over weights, gradients and moments instead of ten; it matters for language models."""
    return torch.optim.AdamW(groups, betas=(config.beta1, config.beta2), eps=config.eps, fused=True)


@OPTIMIZERS.register(SgdConfig)
def sgd(config: SgdConfig, groups: Groups) -> torch.optim.Optimizer:
    """torch adds the decay to the gradient, so that momentum holds it too."""
    return torch.optim.SGD(groups, momentum=config.momentum, nesterov=config.nesterov)


WHERE = "train.optimizer"


def usable() -> dict[str, type[torch.optim.Optimizer]]:
    """Classes by name: those that take one gradient a step, and dense ones."""
    found = {}
    for name, value in vars(torch.optim).items():
        if isinstance(value, type) and issubclass(value, torch.optim.Optimizer) and value is not torch.optim.Optimizer:
            step = inspect.signature(value.step).parameters
            closure = step.get("closure")
            if (closure is None or closure.default is not inspect.Parameter.empty) and not name.startswith("Sparse"):
                found[name] = value
    return found


@OPTIMIZERS.register(TorchOptimizerConfig)
def torch_optimizer(config: TorchOptimizerConfig, groups: Groups) -> torch.optim.Optimizer:
    """ConfigError for a name or an argument that torch does not know."""
    known = usable()
    if config.name not in known:
        hint = did_you_mean(config.name, known)
        raise ConfigError(f"{WHERE}.name: must be one of {', '.join(sorted(known))} (got {config.name!r}).{hint}")
    made, accepted = known[config.name], inspect.signature(known[config.name]).parameters
    unknown = [name for name in config.args if name not in accepted or name in ("params", "lr", "weight_decay")]
    if unknown:
        listed = [name for name in accepted if name not in ("params", "lr", "weight_decay")]
        raise ConfigError(f"{WHERE}.args: must be among {', '.join(listed)} (got {', '.join(unknown)})")
    taken = [{key: value for key, value in group.items() if key in accepted} for group in groups]
    try:
        settings: dict[str, Any] = dict(config.args)
        return made(taken, **settings)
    except (TypeError, ValueError, RuntimeError) as err:
        raise ConfigError(f"{WHERE}: must be settings that torch.optim.{config.name} takes ({err})") from None
