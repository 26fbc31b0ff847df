"""The masked-language-model term of a phase: one head per language model, on the texts of the batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor, nn

from graphstorm_like.config.lm import MlmConfig
from graphstorm_like.ranks.group import SINGLE_PROCESS, Group
from graphstorm_like.text.batching import TextBatch
from graphstorm_like.text.mlm import MaskedLmHead, Vocabulary, input_embeddings, mask_tokens
from graphstorm_like.training.lm.language_models import LanguageModels


class MlmTerm(nn.Module):
    """Its heads learn with the language models, and are not needed after the phase."""

    def __init__(self, config: MlmConfig, language_models: LanguageModels, group: Group = SINGLE_PROCESS) -> None:
        super().__init__()
        self.config, self.index, self.group = config, language_models.index, group
        # Not registered: the language models are modules of their own elsewhere.
        self._language_models = (language_models,)
        self.heads = nn.ModuleList(MaskedLmHead(language_models.of(key)) for key in self.index)
        self._vocabularies = {key: Vocabulary.of(language_models.of(key).tokenizer) for key in self.index}

    def backward(
        self,
        texts: Iterable[tuple[str, TextBatch]],
        count: float,
        rng: np.random.Generator,
        seed_of: Callable[[int], int],
        autocast: bool,
    ) -> float:
        """Forward and backward over (key, texts), piece by piece: this rank's part of weight * mean loss per masked
        token * count, where mean and count are over all ranks. Called by all ranks together; a rank with a count of 0
        adds nothing."""
        masked = [(key, *mask_tokens(b, self._vocabularies[key], self.config.probability, rng)) for key, b in texts]
        tokens = sum(len(labels) for *_, labels in masked) if count else 0
        all_count, all_tokens = self.group.total(np.array([count, tokens], dtype=np.float64), "masked tokens")
        scale = self.config.weight * all_count / max(1.0, all_tokens) if count else 0.0
        total = 0.0
        for piece, (key, batch, positions, labels) in enumerate(masked):
            if not len(labels):
                continue
            torch.manual_seed(seed_of(piece))
            with torch.autocast(batch.input_ids.device.type, torch.bfloat16, enabled=autocast):
                loss = self._loss(key, batch, positions, labels) * scale
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        return total

    def _loss(self, key: str, batch: TextBatch, positions: Tensor, labels: Tensor) -> Tensor:
        encoder = self._language_models[0].of(key)
        _, hidden = encoder.with_tokens(batch)
        loss: Tensor = self.heads[self.index[key]](hidden, positions, labels, input_embeddings(encoder))[0]
        return loss
