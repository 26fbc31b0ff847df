"""Vectors that another cache in the folder already has, for the same weights and the same tokens.

When tables change or a graph is partitioned again, the same texts come back in another order or among other texts;
their vectors need not be computed again. Pieces of text are identified by 128 bits of their tokens: among a billion
texts, two that differ have the same bits with a probability of 10^-20.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphstorm_like.errors import DataError
from graphstorm_like.files import read_meta
from graphstorm_like.text.cache import KIND, VERSION, EmbeddingCache
from graphstorm_like.text.tokens import TokenStore

SLAB_TOKENS = 1 << 21
_SALTS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03))
Digests = tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]


def digests(store: TokenStore) -> Digests:
    """Two numbers for each piece of text: two arrays [U]."""
    lengths = store.lengths()
    sums = (np.empty(len(store), dtype=np.uint64), np.empty(len(store), dtype=np.uint64))
    ends = np.cumsum(lengths)
    start = 0
    while start < len(store):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + SLAB_TOKENS, side="right")))
        tokens, offsets = store.tokens(np.arange(start, stop))
        position = np.arange(len(tokens)) - np.repeat(offsets[:-1], np.diff(offsets))
        for salt, out in zip(_SALTS, sums, strict=True):
            # Token and position are mixed before the sum, so that it depends on order and repetition.
            mixed = _mix((tokens.astype(np.uint64) + np.uint64(1)) * salt + _mix(position.astype(np.uint64) ^ salt))
            out[start:stop] = np.add.reduceat(mixed, offsets[:-1])
        start = stop
    return sums


def _mix(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finalizer of SplitMix64 (Steele et al., OOPSLA 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def known_vectors(
    caches: Path, meta: dict[str, Any], store: TokenStore
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float16]]]:
    """(pieces [n] of a store, their vectors [n, D]) from other complete caches with the same settings as `meta`."""
    own_digests: Digests | None = None
    missing = np.ones(len(store), dtype=bool)
    for file in sorted(caches.glob("vectors-*/meta.json")):
        try:
            other_meta = read_meta(file.parent, KIND, VERSION, ("weights", "token_store", "complete", "dim", "texts"))
            same_settings = all(other_meta.get(key) == meta[key] for key in ("weights", "dim", "normalize"))
            is_filled = other_meta["complete"] and other_meta["texts"]
            if not (same_settings and is_filled) or other_meta["token_store"] == store.key:
                continue
            tokens = TokenStore.open(caches / f"tokens-{other_meta['token_store']}")
            theirs = EmbeddingCache.open(file.parent, tokens)
        except DataError:  # of another version, damaged, or without its tokens: it cannot be used
            continue
        own_digests = digests(store) if own_digests is None else own_digests
        first, second = own_digests
        their_first, their_second = digests(tokens)
        order = np.argsort(their_first)
        rows = order[np.minimum(np.searchsorted(their_first, first, sorter=order), len(order) - 1)]
        equal = (their_first[rows] == first) & (their_second[rows] == second) & missing
        pieces = np.flatnonzero(equal)
        if len(pieces):
            yield pieces, theirs.vectors[rows[pieces]]
            missing[pieces] = False
        if not missing.any():
            return
