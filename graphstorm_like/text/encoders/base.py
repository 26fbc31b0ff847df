"""Frozen text encoders: texts in, vectors out, into the cache.

    @TEXT_ENCODERS.register(HashedWordsConfig)     # a member of TextEncoderConfig, with its tag
    class HashedWords(FrozenTextEncoder):
        def __init__(self, config: HashedWordsConfig, device: torch.device) -> None: ...

It must define `width`, `fingerprint` and `__call__`; it needs no tokenizer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from graphstorm_like.registry import Registry
from graphstorm_like.text.cache import EmbeddingCache, Vectors
from graphstorm_like.text.raw import embed_raw

TEXT_ENCODERS: Registry[Callable[[Any, torch.device], TextEmbedder]] = Registry(
    "text encoder", "graphstorm_like.text.encoders"
)


@dataclass(frozen=True, slots=True)
class TextJob:
    """One text column to embed."""

    texts: pa.Array
    """[N] strings; null counts as the empty text."""
    cache: Path
    """Folder of the cache."""
    what: str
    """Names the column in progress: 'item.title'."""
    progress: Callable[[str, int, int], None]
    """(what, done, of)"""
    wait_s: float = 0.0
    """How long to wait for another process that computes the same vectors."""


class TextEmbedder(ABC):
    """A text encoder as the model's inputs see it. Subclasses take (configuration, device to compute on)."""

    def prepare(self) -> None:
        """Load what `embed` needs; it is loaded then at the latest. Default: nothing."""
        return None

    @abstractmethod
    def embed(self, job: TextJob) -> EmbeddingCache:
        """Vectors of all texts of a column, from the cache or computed now, resuming."""

    def vectors(self, texts: pa.Array) -> Vectors:
        """float16 [n, D]: vectors of a few texts [n], computed now and not kept. Default: by `embed`, in a temporary
        folder."""
        with TemporaryDirectory() as folder:
            cache = self.embed(TextJob(texts, Path(folder), "texts", lambda what, done, total: None))
            return np.array(cache.gather(np.arange(len(texts))))

    def describe(self, cache: EmbeddingCache) -> str:
        """What the log says about a column's vectors."""
        return f"vectors of {cache.store.num_texts:,} distinct texts, width {cache.dim}"

    def known_facts(self) -> Mapping[str, Any] | None:
        """Plain JSON that decides the vectors of a graph's texts, where this can be had without loading the encoder:
        cached vectors are then found without it. None: the texts are hashed each time."""
        return None


class FrozenTextEncoder(TextEmbedder):
    """See module."""

    batch_size: int = 1024
    """Texts per call."""

    @property
    @abstractmethod
    def width(self) -> int:
        """D: width of a vector."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Names the vectors in the cache: equal for encoders that give equal texts equal vectors, else different."""

    @abstractmethod
    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.floating[Any]]:
        """[n, D] finite vectors of n distinct texts, which may include the empty text. A vector depends on its text
        alone, not on the others of the call."""

    def embed(self, job: TextJob) -> EmbeddingCache:
        """See TextEmbedder."""
        return embed_raw(
            self, self.batch_size, job.texts, job.cache, partial(job.progress, f"embed {job.what}"), job.wait_s
        )
