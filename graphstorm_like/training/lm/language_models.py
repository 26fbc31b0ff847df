"""The language models of a pipeline, made to learn: all weights, the top layers, or low-rank updates.

Weights are float32, products run under the trainer's bfloat16 autocast. What does not learn is in no optimizer, no
checkpoint and, with several processes, in no all-reduce.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from graphstorm_like.config.lm import LmConfig
from graphstorm_like.config.model import SHARED
from graphstorm_like.config.text_encoders import TextEncoderConfig
from graphstorm_like.config.text_encoders.huggingface import language_model
from graphstorm_like.config.tuning.lora import LoraTuning
from graphstorm_like.config.tuning.top import TopTuning
from graphstorm_like.errors import ConfigError, MissingExtraError
from graphstorm_like.models.dropout import dropout
from graphstorm_like.text.encoder import SHORT, TextEncoder
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
    """A TextEncoder a key. Its state dict holds only what learns."""

    def __init__(self, encoders: Mapping[str, TextEncoder], config: LmConfig) -> None:
        super().__init__()
        self.config = config
        self.index = {key: i for i, key in enumerate(encoders)}
        self.encoders = nn.ModuleList(encoders.values())
        for encoder in encoders.values():
            _prepare(encoder, config)
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

    def groups(self) -> list[ParameterGroup]:
        """What learns, with a learning rate that falls from layer to layer towards the input."""
        found: list[ParameterGroup] = []
        for encoder in self.encoders:
            assert isinstance(encoder, TextEncoder)
            by_depth: dict[int, list[Tensor]] = {}
            # Only layer_decay asks for depths, which a model with shared layers (ALBERT) has not.
            depths = _depths(encoder.backbone) if self.config.layer_decay < 1.0 else {}
            for name, parameter in encoder.backbone.named_parameters():
                by_depth.setdefault(depths.get(name, 0), []).append(parameter)
            for depth, parameters in by_depth.items():
                lr = self.config.lr * self.config.layer_decay**depth
                found += split_decay(parameters, lr, self.config.weight_decay, self.config.schedule)
        return found

    def activation_tokens(self, device: torch.device) -> int:
        """Padded tokens whose activations may be held at once: as configured, or what fits into 2 GB (GPU: 16).

        A layer keeps about 34 * hidden bytes a token in 16 bits (Korthikanti et al. 2022, eq. 1), twice that in 32,
        and the attention's products.
        """
        if self.config.activation_tokens is not None:
            return self.config.activation_tokens
        wide = 0.0
        for encoder in self.encoders:
            config: Any = encoder.backbone.config  # type: ignore[union-attr]
            layers = 1 if self.config.gradient_checkpointing else getattr(config, "num_hidden_layers", 12)
            wide = max(wide, layers * (68.0 * config.hidden_size + 5.0 * encoder.max_tokens * 12))  # type: ignore[operator]
        return max(1024, int((2e9 if device.type == "cpu" else 16e9) / wide))

    def save(self, folder: Path) -> None:
        """Write every language model as a plain Hugging Face folder; low-rank updates are merged into the weights."""
        for key in self.index:
            merged(self.of(key)).save(folder / encoder_folder(key))


def merged(encoder: TextEncoder) -> TextEncoder:
    """The encoder with low-rank updates, if it has any, added to its weights: a copy then."""
    if not hasattr(encoder.backbone, "merge_and_unload"):
        return encoder
    plain = copy.copy(encoder)
    plain._modules = dict(encoder._modules)
    plain.backbone = copy.deepcopy(encoder.backbone).merge_and_unload()  # type: ignore[operator]
    return plain


def _prepare(encoder: TextEncoder, config: LmConfig) -> None:
    """Choose what learns; dropout; gradient checkpointing; compilation."""
    backbone = encoder.backbone
    backbone.requires_grad_(True)
    if isinstance(config.tune, TopTuning):
        _freeze_below(backbone, config.tune.layers)
    if config.gradient_checkpointing:
        _checkpoint_layers(backbone)
    for module in list(backbone.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Dropout):
                p = child.p if config.dropout is None else config.dropout
                setattr(module, name, FastDropout(p))
    if config.dropout is not None:
        _set_attention_dropout(backbone, config.dropout)
    if isinstance(config.tune, LoraTuning):
        encoder.backbone = backbone = _with_lora(backbone, config.tune)
    if config.compile:
        backbone.compile(dynamic=True)


def _checkpoint_layers(backbone: nn.Module) -> None:
    """Our own and not the library's: that one differs between versions, and some models (MPNet) have none."""

    def checkpointed(layer: nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
        def run(*inputs: Any, **options: Any) -> Any:
            if layer.training and torch.is_grad_enabled():
                return checkpoint(forward, *inputs, use_reentrant=False, **options)
            return forward(*inputs, **options)

        return run

    for layer in _layers_or_groups(backbone):
        layer.forward = checkpointed(layer, layer.forward)


def _set_attention_dropout(backbone: nn.Module, p: float) -> None:
    """Some models (ModernBERT, Llama) keep it as a number."""
    for module in backbone.modules():
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = p  # type: ignore[assignment]


def _with_lora(backbone: nn.Module, tune: LoraTuning) -> nn.Module:
    try:
        import peft
    except ImportError:
        raise MissingExtraError("train.lm.tune: lora", "peft", "lora") from None
    modules = tune.modules if isinstance(tune.modules, str) else list(tune.modules)
    wanted = peft.LoraConfig(
        r=tune.rank,
        lora_alpha=tune.alpha,  # type: ignore[arg-type]
        lora_dropout=tune.dropout,
        target_modules=modules,
    )
    try:
        wrapped: nn.Module = peft.get_peft_model(backbone, wanted)
    except ValueError as problem:
        raise ConfigError(
            f"train.lm.tune.modules: must name linear layers of {type(backbone).__name__} (got {tune.modules!r}: "
            f"{str(problem).splitlines()[0]})"
        ) from problem
    return wrapped


def layer_list(backbone: nn.Module) -> tuple[str, nn.ModuleList]:
    """(name, modules) of the stack of transformer layers."""
    count = getattr(backbone.config, "num_hidden_layers", None)
    for name, module in backbone.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return name, module
    raise ConfigError(
        f"train.lm: tune.type top, layer_decay and gradient_checkpointing need a model with a list of layers of their "
        f"own weights, which {type(backbone).__name__} does not show. Use tune.type full or lora without them"
    )


def _layers_or_groups(backbone: nn.Module) -> Iterable[nn.Module]:
    """The transformer layers, or of a model that shares them (ALBERT) the groups, each of which runs several times."""
    groups = getattr(getattr(backbone, "encoder", None), "albert_layer_groups", None)
    return groups if isinstance(groups, nn.ModuleList) else layer_list(backbone)[1]


def _freeze_below(backbone: nn.Module, layers: int) -> None:
    name, stack = layer_list(backbone)
    if layers > len(stack):
        raise ConfigError(f"train.lm.tune.layers: must be at most {len(stack)}, the model's layers (got {layers})")
    learning = {f"{name}.{i}." for i in range(len(stack) - layers, len(stack))}
    seen = False
    for parameter_name, parameter in backbone.named_parameters():
        inside = parameter_name.startswith(f"{name}.")
        seen = seen or inside
        # What comes after the stack (final norm, pooler) learns; embeddings before it do not.
        parameter.requires_grad_(any(parameter_name.startswith(p) for p in learning) if inside else seen)


def _depths(backbone: nn.Module) -> dict[str, int]:
    """Name of a parameter -> layers between it and the output: 0 for the top layer and what follows it."""
    name, stack = layer_list(backbone)
    after = False
    found: dict[str, int] = {}
    for parameter_name, _ in backbone.named_parameters():
        if parameter_name.startswith(f"{name}."):
            after = True
            layer = int(parameter_name[len(name) + 1 :].split(".", 1)[0])
            found[parameter_name] = len(stack) - 1 - layer
        else:
            found[parameter_name] = 0 if after else len(stack)
    return found


def _only_learning(module: nn.Module, state: dict[str, Any], prefix: str, _metadata: Any) -> None:
    """State dict hook: frozen weights are where they came from, on disk. A tensor of several names (T5 has its token
    embeddings twice) is kept under the one that named_parameters gives it: safetensors refuses it twice."""
    learning = {prefix + name for name, parameter in module.named_parameters() if parameter.requires_grad}
    for name in [name for name in state if name.startswith(prefix) and name not in learning]:
        del state[name]
