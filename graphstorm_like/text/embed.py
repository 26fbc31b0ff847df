"""Vectors of texts by a language model: of some texts now, or of all in one sweep that survives being killed.

Batches follow from lengths and budget alone, so a cache that was filled in two goes equals an uninterrupted one byte
for byte. In: a TokenStore and a TextEncoder. Out: float16 [U, D], in memory or in the folder that cache.py describes.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import threading
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from graphstorm_like.allocator import keeping_freed_memory
from graphstorm_like.errors import ConfigError, GslError, must_be
from graphstorm_like.text.batching import Indices, TextBatch, collate, token_budget_batches
from graphstorm_like.text.cache import (
    EmbeddingCache,
    Vectors,
    filled_cache,
    mark_done,
    open_for_writing,
    to_half,
    write_results,
)
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.text.reuse import known_vectors
from graphstorm_like.text.tokens import Progress, TextTokens, TokenStore
from graphstorm_like.text.workers import default_workers, embed_in_workers

_COLLATE_TIMEOUT_S = 300.0


def embed_all(
    encoder: TextEncoder,
    store: TokenStore,
    cache_dir: str | os.PathLike[str],
    max_tokens_per_batch: int | None = None,
    device: torch.device | str | None = None,
    progress: Progress | None = None,
    wait_s: float = 0.0,
    workers: int | None = None,
) -> EmbeddingCache:
    """Vectors of every distinct text: from the cache when it is complete, else computed, resuming a stopped sweep.

    Args:
        encoder: its weights, pooling and dtype name the cache.
        max_tokens_per_batch: padded tokens per batch; None takes a good size for the device.
        device: where to compute; None is where the encoder is.
        progress: called with (tokens done, all tokens); time is proportional to tokens, not to texts.
        wait_s: how long to wait for another process that fills the same cache.
        workers: on a CPU, processes that share this one's compute threads; None: one per thread when the sweep is long.
            The vectors do not depend on it, as far as the products of one text batch do not depend on threads.
    """
    facts = {"weights": encoder.weights_fingerprint(), "dim": encoder.dim, "normalize": encoder.normalize}

    def fill(folder: Path, meta: dict[str, Any]) -> None:
        _fill(encoder, store, folder, meta, max_tokens_per_batch, device, progress, workers)

    return filled_cache(store, facts, Path(cache_dir), fill, wait_s)


def embed_texts(
    encoder: TextEncoder,
    store: TextTokens,
    unique_ids: npt.ArrayLike,
    max_tokens_per_batch: int | None = None,
    device: torch.device | str | None = None,
) -> Vectors:
    """float16 [n, D]: vectors of some distinct texts (or pieces), computed now and not cached."""
    ids = np.asarray(unique_ids, dtype=np.int64)
    out = np.empty((len(ids), encoder.dim), dtype=np.float16)
    batches = token_budget_batches(store.lengths()[ids], max_tokens_per_batch or default_budget(encoder, store, device))
    for positions, vectors in embed_batches(encoder, store, batches, device, ids):
        out[positions] = vectors
    return out


def embed_batches(
    encoder: TextEncoder,
    store: TextTokens,
    batches: Sequence[Indices],
    device: torch.device | str | None = None,
    ids: Indices | None = None,
) -> Generator[tuple[Indices, Vectors], None, None]:
    """Compute batch after batch: yields (batch, float16 [len(batch), D]). `ids`, when given, maps indices to texts.

    Any process can take any part of a batch list. A thread reads and pads ahead; a GPU works on the next batch while
    the vectors of the last are copied back.
    """
    target = torch.device(device) if device is not None else encoder.device
    encoder.to(target).eval()
    texts = batches if ids is None else [ids[batch] for batch in batches]
    previous: tuple[Indices, torch.Tensor] | None = None
    with keeping_freed_memory() if target.type == "cpu" else contextlib.nullcontext():
        for batch, padded in zip(batches, _prefetch(store, texts, pin=target.type == "cuda"), strict=True):
            with torch.inference_mode():
                vectors = encoder(padded.to(target, non_blocking=True))
            if previous is not None:
                yield previous[0], to_half(*previous)
            previous = (batch, vectors)
        if previous is not None:
            yield previous[0], to_half(*previous)


def default_budget(encoder: TextEncoder, store: TextTokens, device: torch.device | str | None = None) -> int:
    """Padded tokens per batch: on a CPU few, for its caches (8,192: 20 % slower than 4,096); on a GPU what fills it."""
    kind = (torch.device(device) if device is not None else encoder.device).type
    return max(4096 if kind == "cpu" else 65536, store.max_tokens)


def _fill(
    encoder: TextEncoder,
    store: TokenStore,
    folder: Path,
    meta: dict[str, Any],
    max_tokens_per_batch: int | None,
    device: torch.device | str | None,
    progress: Progress | None,
    workers: int | None,
) -> None:
    if store.max_tokens > encoder.position_limit:
        rule = f"at most {encoder.position_limit}, the encoder's positions"
        raise ConfigError(
            must_be(str(store.folder), "max_tokens", rule, store.max_tokens, "Tokenise with fewer tokens.")
        )
    lengths = store.lengths()
    batches = token_budget_batches(lengths, max_tokens_per_batch or default_budget(encoder, store, device))
    vectors, done = open_for_writing(folder, meta)
    if not done.any():
        for pieces, cached in known_vectors(folder.parent, meta, store):
            vectors[pieces] = cached
            mark_done(vectors, done, [pieces])
    unfinished = [batch[done[batch] == 0] for batch in batches]
    todo = [batch for batch in unfinished if len(batch)]
    total, finished = int(lengths.sum()), int(lengths[done[:] != 0].sum())
    scratch = folder / "workers"
    shutil.rmtree(scratch, ignore_errors=True)  # of a killed sweep
    workers = default_workers(encoder, total - finished) if workers is None else workers
    on_cpu = (torch.device(device) if device is not None else encoder.device).type == "cpu"
    if on_cpu and workers > 1 and len(todo) > 1:
        results = embed_in_workers(encoder, store, todo, workers, scratch)
    else:
        results = embed_batches(encoder, store, todo, device)

    def tell(batch: Indices) -> None:
        nonlocal finished
        finished += int(lengths[batch].sum())
        if progress is not None:
            progress(finished, total)

    write_results(folder, meta, vectors, done, results, tell)


def _prefetch(store: TextTokens, batches: Sequence[Indices], pin: bool, depth: int = 4) -> Iterator[TextBatch]:
    """Collate in a thread, at most `depth` batches ahead. Its errors are raised here, and no side waits for ever."""
    collated: queue.Queue[TextBatch | BaseException] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def offer(item: TextBatch | BaseException) -> None:
        while not stop.is_set():
            try:
                return collated.put(item, timeout=0.5)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for batch in batches:
                padded = collate(store, batch, pad_to_multiple_of=8 if pin else 1)
                offer(padded.pin_memory() if pin else padded)
                if stop.is_set():
                    return
        except BaseException as problem:
            offer(problem)

    threading.Thread(target=work, name="text collate", daemon=True).start()
    try:
        for i in range(len(batches)):
            try:
                item = collated.get(timeout=_COLLATE_TIMEOUT_S)
            except queue.Empty:
                raise GslError(
                    f"text collate: batch {i} of {len(batches)} did not come within {_COLLATE_TIMEOUT_S:.0f} s. "
                    f"Is the cache's disk still there?"
                ) from None
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
