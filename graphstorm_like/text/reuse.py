"""Vectors that another cache of the folder has already: of the same weights and the same tokens.

Texts come back in another order, or with others, when tables change and when a graph is partitioned anew; their vectors
need no second pass. Pieces of text are told by 128 bits of their tokens: that two differ and agree in those has, among
a billion texts, a chance of one in 10^20.
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
    """Two numbers [U] of each piece of text."""
    lengths = store.lengths()
    found = (np.empty(len(store), dtype=np.uint64), np.empty(len(store), dtype=np.uint64))
    ends = np.cumsum(lengths)
    start = 0
    while start < len(store):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + SLAB_TOKENS, side="right")))
        tokens, offsets = store.tokens(np.arange(start, stop))
        place = np.arange(len(tokens)) - np.repeat(offsets[:-1], np.diff(offsets))
        for salt, out in zip(_SALTS, found, strict=True):
            # A token and its place are mixed before they are added: order and repetition count.
            mixed = _mix((tokens.astype(np.uint64) + np.uint64(1)) * salt + _mix(place.astype(np.uint64) ^ salt))
            out[start:stop] = np.add.reduceat(mixed, offsets[:-1])
        start = stop
    return found


def _mix(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finalizer of SplitMix64 (Steele et al., OOPSLA 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def known_vectors(
    caches: Path, meta: dict[str, Any], store: TokenStore
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float16]]]:
    """(pieces [n] of a store, their vectors [n, D]) out of other complete caches that `meta` could be of."""
    mine: Digests | None = None
    missing = np.ones(len(store), dtype=bool)
    for file in sorted(caches.glob("vectors-*/meta.json")):
        try:
            other = read_meta(file.parent, KIND, VERSION, ("weights", "token_store", "complete", "dim", "texts"))
            same = all(other.get(key) == meta[key] for key in ("weights", "dim", "normalize"))
            if not (same and other["complete"] and other["texts"]) or other["token_store"] == store.key:
                continue
            tokens = TokenStore.open(caches / f"tokens-{other['token_store']}")
            theirs = EmbeddingCache.open(file.parent, tokens)
        except DataError:  # of another version, damaged, or its tokens are gone: then it is no help
            continue
        mine = digests(store) if mine is None else mine
        their_first, their_second = digests(tokens)
        order = np.argsort(their_first)
        at = order[np.minimum(np.searchsorted(their_first, mine[0], sorter=order), len(order) - 1)]
        equal = (their_first[at] == mine[0]) & (their_second[at] == mine[1]) & missing
        pieces = np.flatnonzero(equal)
        if len(pieces):
            yield pieces, theirs.vectors[at[pieces]]
            missing[pieces] = False
        if not missing.any():
            return
