"""Tuning by low-rank updates."""

from __future__ import annotations

import copy

from torch import nn

from graphstorm_like.config.tuning import LoraTuning
from graphstorm_like.errors import ConfigError, MissingExtraError
from graphstorm_like.text.tuning.base import TUNINGS, Tuning


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
