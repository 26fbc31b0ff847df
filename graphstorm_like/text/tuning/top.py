"""Tuning of the topmost layers."""

from __future__ import annotations

from torch import nn

from graphstorm_like.config.tuning import TopTuning
from graphstorm_like.errors import ConfigError
from graphstorm_like.text.layers import layer_list
from graphstorm_like.text.tuning.base import TUNINGS, Tuning


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
