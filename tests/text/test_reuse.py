"""Texts that another cache has vectors of are not embedded again."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from graphstorm_like.text import reuse
from graphstorm_like.text.cache import EmbeddingCache
from graphstorm_like.text.embed import embed_all
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.text.tokens import build_token_store


def embedded(bert: TextEncoder, texts: list[str], folder: Path, max_chunks: int | None = None) -> EmbeddingCache:
    return embed_all(
        bert, build_token_store(pa.array(texts), bert.tokenizer, folder, 12, max_chunks=max_chunks), folder
    )


def count_texts(encoder: TextEncoder) -> list[int]:
    seen: list[int] = []
    encoder.register_forward_pre_hook(lambda _, args: seen.append(len(args[0].input_ids)))
    return seen


@pytest.mark.parametrize("max_chunks", [None, 3])
def test_only_new_texts_are_computed(
    bert: TextEncoder, texts: pa.ChunkedArray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_chunks: int | None
) -> None:
    monkeypatch.setattr(reuse, "SLAB_TOKENS", 50)  # several slabs
    old = list(dict.fromkeys(t or "" for t in texts.to_pylist()))
    first = embedded(bert, old, tmp_path, max_chunks)
    seen = count_texts(bert)
    # In another order, some gone, and one new.
    fresh = ["a text of its own"]
    second = embedded(bert, [*fresh, *reversed(old[3:])], tmp_path, max_chunks)
    assert sum(seen) == len(second.store.pieces(np.arange(len(fresh)))[0])
    rows = np.arange(len(fresh), len(fresh) + len(old) - 3)
    np.testing.assert_array_equal(second.gather(rows), first.gather(np.arange(len(old) - 1, 2, -1)))
    assert np.isfinite(second.vectors).all()


def test_other_weights_are_other_vectors(bert: TextEncoder, tmp_path: Path) -> None:
    embedded(bert, ["one", "two"], tmp_path)
    with torch.no_grad():
        next(bert.backbone.parameters()).mul_(1.5)
    seen = count_texts(bert)
    embedded(bert, ["two", "one"], tmp_path)
    assert sum(seen) == 2


def test_a_cache_without_its_tokens_is_no_help(bert: TextEncoder, tmp_path: Path) -> None:
    first = embedded(bert, ["one", "two"], tmp_path)
    shutil.rmtree(first.store.folder)
    seen = count_texts(bert)
    embedded(bert, ["two", "one"], tmp_path)
    assert sum(seen) == 2


def test_digests_tell_order_and_repetition(bert: TextEncoder, tmp_path: Path) -> None:
    texts = [" ".join(p) for n in (1, 2, 3) for p in itertools.product(["red", "blue", "a"], repeat=n)]
    store = build_token_store(pa.array(texts), bert.tokenizer, tmp_path, 40)
    for numbers in reuse.digests(store):
        assert len(np.unique(numbers)) == len(store)
