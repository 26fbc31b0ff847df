"""The transformer layers of a language model."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from graphstorm_like.errors import ConfigError


def layer_list(backbone: nn.Module) -> tuple[str, nn.ModuleList]:
    """(name, modules) of the stack of transformer layers. ConfigError when the model does not show one."""
    count = getattr(backbone.config, "num_hidden_layers", None)
    for name, module in backbone.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return name, module
    raise ConfigError(
        f"train.lm: tune.type top, layer_decay and gradient_checkpointing need a model with a list of layers of their "
        f"own weights, which {type(backbone).__name__} does not show. Use tune.type full or lora without them"
    )


def layers_or_groups(backbone: nn.Module) -> Iterable[nn.Module]:
    """The transformer layers; for a model that shares them (ALBERT) the groups, each of which runs several times."""
    groups = getattr(getattr(backbone, "encoder", None), "albert_layer_groups", None)
    return groups if isinstance(groups, nn.ModuleList) else layer_list(backbone)[1]


def layer_depths(backbone: nn.Module) -> dict[str, int]:
    """Name of a parameter -> layers between it and the output: 0 for the top layer and what follows it."""
    stack_name, stack = layer_list(backbone)
    after_stack = False
    depths: dict[str, int] = {}
    for name, _ in backbone.named_parameters():
        if name.startswith(f"{stack_name}."):
            after_stack = True
            layer = int(name[len(stack_name) + 1 :].split(".", 1)[0])
            depths[name] = len(stack) - 1 - layer
        else:
            depths[name] = 0 if after_stack else len(stack)
    return depths
