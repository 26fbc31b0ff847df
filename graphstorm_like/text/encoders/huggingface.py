"""Hugging Face models: texts are tokenised once, the tokens kept, and vectors made batch by batch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from graphstorm_like.config.text_encoders import HuggingFaceConfig
from graphstorm_like.text.cache import EmbeddingCache, Vectors, from_pieces
from graphstorm_like.text.embed import embed_all, embed_texts
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.text.encoders.base import TEXT_ENCODERS, TextEmbedder, TextJob
from graphstorm_like.text.folders import model_files, resolve_model_folder
from graphstorm_like.text.loading import as_dtype
from graphstorm_like.text.tokenizing import Tokenizer, tokenizer_facts
from graphstorm_like.text.tokens import TokenFacts, TokenStore, build_token_store, tokens_now

_NEUTRAL = {"batch_tokens", "workers"}


@TEXT_ENCODERS.register(HuggingFaceConfig)
class HuggingFaceText(TextEmbedder):
    """The model is loaded when it is first needed: vectors in the cache do not need it."""

    def __init__(self, config: HuggingFaceConfig, device: torch.device) -> None:
        self.config, self.device = config, device

    @cached_property
    def model(self) -> TextEncoder:
        """The model with its tokenizer."""
        c = self.config
        return TextEncoder.load(c.name, pooling=c.pooling, max_tokens=c.max_tokens, dtype=c.dtype, device=self.device)

    def prepare(self) -> None:
        """See TextEmbedder."""
        assert self.model is not None, "a cached property"

    def embed(self, job: TextJob) -> EmbeddingCache:
        """See TextEmbedder."""
        tokens = build_token_store(
            job.texts,
            self.model.tokenizer,
            job.cache,
            self.model.max_tokens,
            progress=partial(job.progress, f"tokenise {job.what}"),
            wait_s=job.wait_s,
            max_chunks=self.config.chunks,
        )
        return embed_all(
            self.model,
            tokens,
            job.cache,
            self.config.batch_tokens,
            progress=partial(job.progress, f"embed {job.what} (tokens)"),
            wait_s=job.wait_s,
            workers=self.config.workers,
        )

    @cached_property
    def _tokenizer(self) -> tuple[Tokenizer, TokenFacts]:
        """For few texts: making it takes longer than tokenising them."""
        tokenizer, limit = self.model.tokenizer, self.model.max_tokens
        facts = TokenFacts(limit, tokenizer_facts(tokenizer)["pad_id"], tokenizer.num_special_tokens_to_add())
        return Tokenizer(tokenizer, limit, self.config.chunks or 1), facts

    def vectors(self, texts: pa.Array) -> Vectors:
        """See TextEmbedder."""
        tokens = tokens_now(texts, *self._tokenizer, in_pieces=self.config.chunks is not None)
        pieces = embed_texts(self.model, tokens, np.arange(len(tokens)), self.config.batch_tokens)
        return from_pieces(tokens, pieces, tokens.row_of_text, self.model.normalize)

    def describe(self, cache: EmbeddingCache) -> str:
        """See TextEmbedder."""
        tokens = cache.store
        assert isinstance(tokens, TokenStore)
        pieces = f" in {len(cache):,} pieces" if self.config.chunks else ""
        return (
            f"vectors of {tokens.num_texts:,} distinct texts{pieces} ({tokens.meta['truncated_texts']:,} cut), "
            f"{int(tokens.lengths().sum()):,} tokens, width {cache.dim}"
        )

    def known_facts(self) -> Mapping[str, Any] | None:
        """See TextEmbedder."""
        model = str(resolve_model_folder(self.config.name))
        return {
            "versions": [_version("transformers"), _version("tokenizers")],
            "encoder": self.config.model_dump(mode="json", exclude=_NEUTRAL),
            "model": [model, model_files(model)],
            "dtype": str(as_dtype(self.config.dtype, self.device)),
        }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
