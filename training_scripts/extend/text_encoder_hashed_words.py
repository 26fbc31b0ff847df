"""A text encoder of your own: how often words of each hash occur. It needs no tokenizer and learns nothing.

plugins: [./text_encoder_hashed_words.py]
model: { text_encoder: { type: hashed_words, width: 64 } }
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch

from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.text_encoders import TextEncoderConfig
from graphstorm_like.text.encoders import TEXT_ENCODERS, FrozenTextEncoder


class HashedWordsConfig(TextEncoderConfig):
    """Bag of words, hashed to `width` numbers."""

    type: Literal["hashed_words"]
    width: PositiveInt = 64


@TEXT_ENCODERS.register(HashedWordsConfig)
class HashedWords(FrozenTextEncoder):
    """log(1 + count) of the words of each hash, scaled to length 1."""

    def __init__(self, config: HashedWordsConfig, device: torch.device) -> None:
        self.config = config

    @property
    def width(self) -> int:
        """See FrozenTextEncoder."""
        return self.config.width

    def fingerprint(self) -> str:
        """See FrozenTextEncoder."""
        return f"hashed words 1, width {self.width}"

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """See FrozenTextEncoder."""
        counts = np.zeros((len(texts), self.width), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()):
                counts[row, zlib.crc32(word.encode()) % self.width] += 1
        vectors: np.ndarray = np.log1p(counts)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors
