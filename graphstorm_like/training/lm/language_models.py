"""The language models of a pipeline, made to learn: which weights do is up to the tuning operator.

Weights are float32; products run under the trainer's bfloat16 autocast. Frozen weights are in no optimizer, no
checkpoint and, with several processes, in no all-reduce.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from graphstorm_like.config.lm import LmConfig
from graphstorm_like.config.model import SHARED
from graphstorm_like.config.text_encoders import TextEncoderConfig, language_model
from graphstorm_like.config.tuning import TuneConfig
from graphstorm_like.models.dropout import dropout
from graphstorm_like.text.encoder import SHORT, TextEncoder
from graphstorm_like.text.layers import layer_depths, layers_or_groups
from graphstorm_like.text.tuning import Tuning, tuning_of
from graphstorm_like.training.optim import ParameterGroup, split_decay


def encoder_folder(key: str) -> str:
    """Name of the folder in which the language model of a key is saved."""
    return "shared" if key == SHARED else f"of-{key}"


class FastDropout(nn.Dropout):
    """nn.Dropout by `models.dropout`, which costs a quarter of torch's on a CPU."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """See nn.Dropout."""
        return dropout(input, self.p, self.training)


class LanguageModels(nn.Module):
    """One TextEncoder per key. The state dict holds only the weights that learn."""

    def __init__(self, encoders: Mapping[str, TextEncoder], config: LmConfig) -> None:
        super().__init__()
        self.config = config
        self.index = {key: i for i, key in enumerate(encoders)}
        self.encoders = nn.ModuleList(encoders.values())
        self._tuning = tuning_of(config.tune)
        for encoder in encoders.values():
            _prepare(encoder, config, self._tuning)
        self._register_state_dict_hook(_only_learning)  # type: ignore[no-untyped-call]

    @classmethod
    def load(
        cls, configs: Mapping[str, TextEncoderConfig], lm: LmConfig, device: torch.device, half: bool
    ) -> LanguageModels:
        """Load for training. half: under bfloat16 autocast, where plain attention is faster on short texts."""
        encoders = {}
        for key, any_config in configs.items():
            config = language_model(any_config)
            plain = half and device.type == "cpu" and config.max_tokens <= SHORT
            encoders[key] = TextEncoder.load(
                config.name,
                pooling=config.pooling,
                max_tokens=config.max_tokens,
                dtype="float32",
                attention="eager" if plain else "sdpa",
                device=device,
            )
        return cls(encoders, lm)

    def of(self, key: str) -> TextEncoder:
        """The language model of a key."""
        encoder = self.encoders[self.index[key]]
        assert isinstance(encoder, TextEncoder)
        return encoder

    def all(self) -> list[TextEncoder]:
        """All language models."""
        return [self.of(key) for key in self.index]

    def groups(self) -> list[ParameterGroup]:
        """The weights that learn, with a learning rate that falls from layer to layer towards the input."""
        groups: list[ParameterGroup] = []
        for encoder in self.encoders:
            assert isinstance(encoder, TextEncoder)
            by_depth: dict[int, list[Tensor]] = {}
            # Only layer_decay needs depths, which a model with shared layers (ALBERT) does not have.
            depths = layer_depths(encoder.backbone) if self.config.layer_decay < 1.0 else {}
            for name, parameter in encoder.backbone.named_parameters():
                by_depth.setdefault(depths.get(name, 0), []).append(parameter)
            for depth, parameters in by_depth.items():
                lr = self.config.lr * self.config.layer_decay**depth
                groups += split_decay(parameters, lr, self.config.weight_decay, self.config.schedule)
        return groups

    def activation_tokens(self, device: torch.device) -> int:
        """Padded tokens whose activations may be held at once: as configured, or what fits into 2 GB (GPU: 16).

        A layer keeps about 34 * hidden bytes per token in 16 bits (Korthikanti et al. 2022, eq. 1), twice that in 32,
        and the attention's products.
        """
        if self.config.activation_tokens is not None:
            return self.config.activation_tokens
        bytes_per_token = 0.0
        for encoder in self.encoders:
            config: Any = encoder.backbone.config  # type: ignore[union-attr]
            layers = 1 if self.config.gradient_checkpointing else getattr(config, "num_hidden_layers", 12)
            bytes_per_token = max(bytes_per_token, layers * (68.0 * config.hidden_size + 5.0 * encoder.max_tokens * 12))  # type: ignore[operator]
        return max(1024, int((2e9 if device.type == "cpu" else 16e9) / bytes_per_token))

    def save(self, folder: Path) -> None:
        """Write every language model as a plain Hugging Face folder; what tuning added is merged into the weights."""
        for key in self.index:
            encoder = self.of(key)
            plain_backbone = self._tuning.merged(encoder.backbone)
            if plain_backbone is not encoder.backbone:
                encoder = _with_backbone(encoder, plain_backbone)
            encoder.save(folder / encoder_folder(key))


def _with_backbone(encoder: TextEncoder, backbone: nn.Module) -> TextEncoder:
    """A shallow copy of an encoder around another backbone."""
    around_backbone = copy.copy(encoder)
    around_backbone._modules = dict(encoder._modules)
    around_backbone.backbone = backbone
    return around_backbone


def _prepare(encoder: TextEncoder, config: LmConfig, tuning: Tuning[TuneConfig]) -> None:
    """Freeze what does not learn; set dropout, gradient checkpointing and compilation; wrap for the tuning."""
    backbone = encoder.backbone
    backbone.requires_grad_(True)
    tuning.freeze(backbone)
    if config.gradient_checkpointing:
        _checkpoint_layers(backbone)
    for module in list(backbone.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Dropout):
                p = child.p if config.dropout is None else config.dropout
                setattr(module, name, FastDropout(p))
    if config.dropout is not None:
        _set_attention_dropout(backbone, config.dropout)
    encoder.backbone = backbone = tuning.wrapped(backbone)
    if config.compile:
        backbone.compile(dynamic=True)


def _checkpoint_layers(backbone: nn.Module) -> None:
    """Done here, since the library's checkpointing differs between versions and some models (MPNet) have none."""

    def checkpointed(layer: nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
        def run(*inputs: Any, **options: Any) -> Any:
            if layer.training and torch.is_grad_enabled():
                return checkpoint(forward, *inputs, use_reentrant=False, **options)
            return forward(*inputs, **options)

        return run

    for layer in layers_or_groups(backbone):
        layer.forward = checkpointed(layer, layer.forward)


def _set_attention_dropout(backbone: nn.Module, p: float) -> None:
    """For models (ModernBERT, Llama) that keep it as a number."""
    for module in backbone.modules():
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = p  # type: ignore[assignment]


def _only_learning(module: nn.Module, state: dict[str, Any], prefix: str, _metadata: Any) -> None:
    """State dict hook: drops frozen weights, which are in the folder they were loaded from. A tensor with several names
    (T5 has its token embeddings twice) is kept under the name that named_parameters gives it, since safetensors
    refuses to save it twice."""
    learning = {prefix + name for name, parameter in module.named_parameters() if parameter.requires_grad}
    for name in [name for name in state if name.startswith(prefix) and name not in learning]:
        del state[name]
