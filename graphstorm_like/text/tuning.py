"""Ways to tune a language model. graphstorm_like/config/tuning.py says when to use which."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

from torch import nn

from graphstorm_like.config.tuning import FullTuning, LoraTuning, TopTuning, TuneConfig
from graphstorm_like.errors import ConfigError, MissingExtraError
from graphstorm_like.registry import Registry
from graphstorm_like.text.layers import layer_list

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


TUNINGS: Registry[type[Tuning[TuneConfig]]] = Registry("tuning")


def tuning_of(config: TuneConfig) -> Tuning[TuneConfig]:
    """The operator of a tuning's configuration."""
    return TUNINGS.of(config)(config)


@TUNINGS.register(FullTuning)
class Full(Tuning[FullTuning]):
    """See FullTuning."""


@TUNINGS.register(LoraTuning)
class Lora(Tuning[LoraTuning]):
    """See LoraTuning. peft freezes the weights beside which it puts the updates."""

    def wrapped(self, backbone: nn.Module) -> nn.Module:
        """See Tuning."""
        try:
            import peft
        except ImportError:
            raise MissingExtraError("train.lm.tune: lora", "peft", "lora") from None
        modules = self.config.modules if isinstance(self.config.modules, str) else list(self.config.modules)
        peft_config = peft.LoraConfig(
            r=self.config.rank,
            lora_alpha=self.config.alpha,  # type: ignore[arg-type]
            lora_dropout=self.config.dropout,
            target_modules=modules,
        )
        try:
            wrapped: nn.Module = peft.get_peft_model(backbone, peft_config)
        except ValueError as problem:
            raise ConfigError(
                f"train.lm.tune.modules: must name linear layers of {type(backbone).__name__} (got {modules!r}: "
                f"{str(problem).splitlines()[0]})"
            ) from problem
        return wrapped

    def merged(self, backbone: nn.Module) -> nn.Module:
        """See Tuning. The updates are added to the weights of a copy."""
        merged: nn.Module = copy.deepcopy(backbone).merge_and_unload()  # type: ignore[operator]
        return merged


@TUNINGS.register(TopTuning)
class Top(Tuning[TopTuning]):
    """See TopTuning. What follows the layers (final norm, pooler) learns too; embeddings before them do not."""

    def freeze(self, backbone: nn.Module) -> None:
        """See Tuning."""
        stack_name, stack = layer_list(backbone)
        layers = self.config.layers
        if layers > len(stack):
            raise ConfigError(f"train.lm.tune.layers: must be at most {len(stack)}, the model's layers (got {layers})")
        top_layers = tuple(f"{stack_name}.{i}." for i in range(len(stack) - layers, len(stack)))
        after_stack = False
        for name, parameter in backbone.named_parameters():
            if name.startswith(f"{stack_name}."):
                after_stack = True
                parameter.requires_grad_(name.startswith(top_layers))
            else:
                parameter.requires_grad_(after_stack)
