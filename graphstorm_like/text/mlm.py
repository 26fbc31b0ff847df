"""Masked language modelling: which tokens are hidden, and the head that guesses them (Devlin et al., NAACL 2019).

A term beside a task's loss keeps a language model from forgetting its language while it learns a graph. In: TextBatch
with ids [U, L]. Out: the same with M tokens replaced, their positions in the flattened [U * L], and the true ids.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from graphstorm_like.errors import ConfigError
from graphstorm_like.text.batching import TextBatch
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.text.tokenizing import tokenizer_facts

AS_MASK, AS_RANDOM = 0.8, 0.1
"""Shares of the chosen tokens. The others stay as they are, so that the model must be able to predict every token."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What masking needs to know about a tokenizer: ordinary int64 [V'] are all ids except the special ones."""

    mask_id: int
    ordinary: npt.NDArray[np.int64]

    @classmethod
    def of(cls, tokenizer: Any) -> Vocabulary:
        """Raises ConfigError for a tokenizer without a mask token."""
        if tokenizer.mask_token_id is None:
            raise ConfigError(
                "model.text_encoder: the tokenizer must have a mask token for masked language modelling (got none). "
                "Choose a model that was trained with one, or leave the term out"
            )
        facts = tokenizer_facts(tokenizer)
        special = [*facts["special_ids"], facts["pad_id"]]
        return cls(int(tokenizer.mask_token_id), np.setdiff1d(np.arange(facts["vocab_size"]), special))


def mask_tokens(
    batch: TextBatch, vocabulary: Vocabulary, probability: float, rng: np.random.Generator
) -> tuple[TextBatch, Tensor, Tensor]:
    """(batch with tokens replaced, positions int64 [M] in the flattened ids, labels int64 [M]).

    Each ordinary token is chosen with `probability`; of the chosen 80 % become the mask token, 10 % a random ordinary
    one, 10 % stay. Special tokens and padding are never chosen. The draws depend on `rng` and on the ordinary tokens
    in their order, not on padding.
    """
    ids = batch.input_ids.cpu().numpy()
    flat = ids.reshape(-1).copy()
    real = batch.attention_mask.cpu().numpy().reshape(-1)
    candidates = np.flatnonzero(real & np.isin(flat, vocabulary.ordinary))
    positions = candidates[rng.random(len(candidates)) < probability]
    labels = flat[positions]
    draws = rng.random(len(positions))
    random = vocabulary.ordinary[rng.integers(len(vocabulary.ordinary), size=len(positions))]
    unmasked = np.where(draws < AS_MASK + AS_RANDOM, random, labels)
    flat[positions] = np.where(draws < AS_MASK, vocabulary.mask_id, unmasked)
    device = batch.input_ids.device
    masked = replace(batch, input_ids=torch.from_numpy(flat.reshape(ids.shape)).to(device))
    return masked, torch.from_numpy(positions).to(device), torch.from_numpy(labels).to(device)


class MaskedLmHead(nn.Module):
    """Token vectors -> the loss of guessing the hidden tokens: dense, GELU, LayerNorm, then a product with the input
    embeddings of the encoder, plus a bias.

    The embeddings stay the encoder's: they are passed in, and are not parameters of the head. Raises ConfigError for
    causal models, whose tokens do not see the tokens after them.
    """

    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__()
        if encoder.is_causal:
            raise ConfigError(
                "model.text_encoder: must be an encoder for masked language modelling (got a causal model). Choose "
                "a model like BERT, or leave the term out"
            )
        rows, width = input_embeddings(encoder).shape
        self.dense = nn.Linear(encoder.dim, width)
        self.norm = nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(rows))

    def forward(self, hidden: Tensor, positions: Tensor, labels: Tensor, embeddings: Tensor) -> tuple[Tensor, int]:
        """(sum of the losses, M). hidden [U, L, D], positions and labels [M], embeddings [V, E] of the encoder.

        Logits [M, V] are computed at the hidden tokens only.
        """
        of_masked = hidden.flatten(0, 1)[positions].to(self.dense.weight.dtype)
        predicted = self.norm(F.gelu(self.dense(of_masked)))
        logits = F.linear(predicted, embeddings.to(predicted.dtype), self.bias.to(predicted.dtype))
        return F.cross_entropy(logits.float(), labels, reduction="sum"), len(labels)


def input_embeddings(encoder: TextEncoder) -> Tensor:
    """[V, E] the input embeddings of an encoder's tokens."""
    weight: Tensor = encoder.backbone.get_input_embeddings().weight  # type: ignore[operator]
    return weight
