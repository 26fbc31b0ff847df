"""Any class of torch.optim by its name."""

from __future__ import annotations

import inspect
from typing import Any

import torch

from graphstorm_like.config.optimizers import TorchOptimizerConfig
from graphstorm_like.errors import ConfigError, did_you_mean
from graphstorm_like.training.optimizers.base import OPTIMIZERS, Groups

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
