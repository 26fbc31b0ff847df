"""What a way to tune a language model decides: which weights learn, what wraps the model, and what is saved of it."""

from __future__ import annotations

from typing import Generic, TypeVar

from torch import nn

from graphstorm_like.config.tuning import TuneConfig
from graphstorm_like.registry import Registry

Config = TypeVar("Config", bound=TuneConfig)


class Tuning(Generic[Config]):
    """A way to tune a language model's backbone; by itself it trains all weights. config: that of `train.lm.tune`."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def freeze(self, backbone: nn.Module) -> None:
        """Turn requires_grad off for weights that do not learn; all of them have it on. ConfigError when the model
        cannot be tuned like this."""

    def wrapped(self, backbone: nn.Module) -> nn.Module:
        """The backbone with what training adds to it. Called after `freeze`, when dropout is set. ConfigError or
        MissingExtraError when that cannot be added."""
        return backbone

    def merged(self, backbone: nn.Module) -> nn.Module:
        """The plain model to save, made from a wrapped backbone, which is not changed: training continues with it."""
        return backbone


TUNINGS: Registry[type[Tuning[TuneConfig]]] = Registry("tuning", "graphstorm_like.text.tuning")


def tuning_of(config: TuneConfig) -> Tuning[TuneConfig]:
    """The operator of a tuning's configuration."""
    return TUNINGS.of(config)(config)
