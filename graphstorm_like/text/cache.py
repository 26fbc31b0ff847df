"""Vectors of all distinct texts (or their pieces) on disk, filled by one sweep that survives being killed.

float16 [U, D] in `vectors.f16`, in a folder named after the weights' fingerprint and the token store's key: other
weights or other texts are another folder, the same ones are opened at once. `done.u1` [U] marks rows that are safely
on disk; a row is marked only after its bytes were flushed. Batches follow from lengths and budget alone, so a resumed
file equals an uninterrupted one byte for byte.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from graphstorm_like.errors import ConfigError, DataError, GslError, must_be
from graphstorm_like.files import (
    check_contents,
    check_size,
    content_records,
    exclusive,
    fsync_path,
    read_meta,
    reserve,
    write_json,
)
from graphstorm_like.heap import keep_heap
from graphstorm_like.text.batching import Indices, TextBatch, collate, token_budget_batches
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.text.reuse import known_vectors
from graphstorm_like.text.tokens import Progress, TextTokens, TokenStore

KIND, VERSION = "embedding cache", 1
_META_KEYS = ("texts", "dim", "weights", "token_store", "complete")
# Rows computed since the last flush are lost by a kill: at most this many seconds of work.
_FLUSH_EVERY_S = 10.0
_COLLATE_TIMEOUT_S = 300.0
Vectors = npt.NDArray[np.float16]


class EmbeddingCache:
    """A complete cache folder, read by memory map: U distinct texts, or pieces of texts, D dimensions."""

    def __init__(self, folder: Path, meta: dict[str, Any], store: TokenStore) -> None:
        self.folder = folder
        self.meta = meta
        self.dim: int = meta["dim"]
        self.store = store
        self.vectors: Vectors = _map_vectors(folder, meta["texts"], meta["dim"], "r")
        """float16 [U, D]"""

    @classmethod
    def open(cls, path: str | os.PathLike[str], store: TokenStore) -> EmbeddingCache:
        """Open a complete cache of `store`'s texts; raises DataError for an incomplete or foreign one."""
        folder = Path(path)
        meta = read_meta(folder, KIND, VERSION, _META_KEYS)
        if meta["token_store"] != store.key:
            raise DataError(
                f"{folder}: these are vectors of other texts (token store {meta['token_store']}, not {store.key})"
            )
        if not meta["complete"]:
            raise DataError(f"{folder}: the sweep that fills this cache has not ended. Run embed_all again; it resumes")
        check_contents(folder, meta)
        return cls(folder, meta, store)

    def __len__(self) -> int:
        """Number of vectors U: of distinct texts, or of their pieces."""
        return len(self.vectors)

    def gather(self, rows: npt.ArrayLike) -> Vectors:
        """float16 [n, D]: vectors of input rows (nodes) [n]."""
        return self.of_texts(self.store.row_of_text[np.asarray(rows, dtype=np.int64)])

    def of_texts(self, text_ids: npt.ArrayLike) -> Vectors:
        """float16 [n, D]: vectors of distinct texts [n]."""
        # Caches of before there were pieces do not say: there it does not matter.
        return from_pieces(self.store, self.vectors, text_ids, self.meta.get("normalize", False))


def from_pieces(store: TextTokens, vectors: Vectors, text_ids: npt.ArrayLike, normalize: bool) -> Vectors:
    """float16 [n, D]: vectors of distinct texts [n] from those of all pieces [U, D].

    Of a text in several pieces it is their mean by content tokens, scaled to length 1 when `normalize`.
    """
    ids = np.asarray(text_ids, dtype=np.int64)
    pieces, offsets = store.pieces(ids)
    found: Vectors = np.asarray(vectors[pieces[offsets[:-1]]])
    many = np.flatnonzero(np.diff(offsets) > 1)
    if len(many):
        pieces, offsets = store.pieces(ids[many])
        weights = store.weights(pieces)[:, None]
        means = np.add.reduceat(vectors[pieces] * weights, offsets[:-1])  # float32
        means /= np.add.reduceat(weights, offsets[:-1])
        if normalize:
            means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
        found[many] = means
    return found


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
        max_tokens_per_batch: padded tokens a batch; None takes a good size for the device.
        device: where to compute; None is where the encoder is.
        progress: called with (tokens done, all tokens); time is proportional to tokens, not to texts.
        wait_s: how long to wait for another process that fills the same cache.
        workers: on a CPU, processes that share this one's compute threads; None: one a thread when the sweep is long.
            The vectors do not depend on it, as far as the products of one text batch do not depend on threads.
    """
    weights = encoder.weights_fingerprint()
    key = blake2b(f"{KIND} {VERSION} {weights} {store.key}".encode(), digest_size=16).hexdigest()
    folder = Path(cache_dir) / f"vectors-{key}"
    meta = {"kind": KIND, "version": VERSION, "weights": weights, "token_store": store.key}
    meta |= {"texts": len(store), "dim": encoder.dim, "complete": False, "normalize": encoder.normalize}
    if _is_complete(folder):
        return EmbeddingCache.open(folder, store)
    with exclusive(folder.with_name(folder.name + ".lock"), "filling this embedding cache", wait_s):
        if not _is_complete(folder):
            _fill(encoder, store, folder, meta, max_tokens_per_batch, device, progress, workers)
    return EmbeddingCache.open(folder, store)


def embed_texts(
    encoder: TextEncoder,
    store: TextTokens,
    unique_ids: npt.ArrayLike,
    max_tokens_per_batch: int | None = None,
    device: torch.device | str | None = None,
) -> Vectors:
    """float16 [n, D]: vectors of some distinct texts (or pieces), computed now and kept nowhere."""
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
    waiting: tuple[Indices, torch.Tensor] | None = None
    with keep_heap() if target.type == "cpu" else contextlib.nullcontext():
        for batch, padded in zip(batches, _prefetch(store, texts, pin=target.type == "cuda"), strict=True):
            with torch.inference_mode():
                vectors = encoder(padded.to(target, non_blocking=True))
            if waiting is not None:
                yield waiting[0], to_half(*waiting)
            waiting = (batch, vectors)
        if waiting is not None:
            yield waiting[0], to_half(*waiting)


def default_budget(encoder: TextEncoder, store: TextTokens, device: torch.device | str | None = None) -> int:
    """Padded tokens a batch: on a CPU few, for its caches (8,192 is 20 % slower than 4,096); on a GPU what fills it."""
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
    from graphstorm_like.text.workers import default_workers, embed_in_workers  # which import this module

    if store.max_tokens > encoder.position_limit:
        rule = f"at most {encoder.position_limit}, the encoder's positions"
        raise ConfigError(
            must_be(str(store.folder), "max_tokens", rule, store.max_tokens, "Tokenise with fewer tokens.")
        )
    lengths = store.lengths()
    batches = token_budget_batches(lengths, max_tokens_per_batch or default_budget(encoder, store, device))
    vectors, done = _open_for_writing(folder, meta)
    if not done.any():
        for pieces, known in known_vectors(folder.parent, meta, store, KIND, VERSION):
            vectors[pieces] = known
            _mark_done(vectors, done, [pieces])
    todo = [left for batch in batches if len(left := batch[done[batch] == 0])]
    total, finished = int(lengths.sum()), int(lengths[done[:] != 0].sum())
    scratch = folder / "workers"
    shutil.rmtree(scratch, ignore_errors=True)  # of a killed sweep
    workers = default_workers(encoder, total - finished) if workers is None else workers
    on_cpu = (torch.device(device) if device is not None else encoder.device).type == "cpu"
    if on_cpu and workers > 1 and len(todo) > 1:
        results = embed_in_workers(encoder, store, todo, workers, scratch)
    else:
        results = embed_batches(encoder, store, todo, device)
    unflushed: list[Indices] = []
    flushed_at = time.monotonic()
    with contextlib.closing(results):  # when this fails, workers end now, not when somebody drops the traceback
        for batch, values in results:
            vectors[batch] = values
            unflushed.append(batch)
            finished += int(lengths[batch].sum())
            if progress is not None:
                progress(finished, total)
            if time.monotonic() - flushed_at > _FLUSH_EVERY_S:
                _mark_done(vectors, done, unflushed)
                flushed_at = time.monotonic()
    _mark_done(vectors, done, unflushed)
    write_json(folder / "meta.json", {**meta, "complete": True, "files": content_records(folder)})
    (folder / "done.u1").unlink()


def _mark_done(vectors: Vectors, done: npt.NDArray[np.uint8], batches: list[Indices]) -> None:
    """Bytes first, marks second: a mark never speaks of bytes that a power cut could take back."""
    if not batches:
        return
    for mapped in (vectors, done):
        if mapped is done:
            done[np.concatenate(batches)] = 1
        if isinstance(mapped, np.memmap):
            mapped.flush()
    batches.clear()


def _open_for_writing(folder: Path, meta: dict[str, Any]) -> tuple[Vectors, npt.NDArray[np.uint8]]:
    """Maps of vectors and marks: those of an interrupted sweep, or new ones."""
    folder.mkdir(parents=True, exist_ok=True)
    texts, dim = meta["texts"], meta["dim"]
    if (folder / "meta.json").is_file():
        found = read_meta(folder, KIND, VERSION, _META_KEYS)
        if any(found[key] != meta[key] for key in _META_KEYS):
            raise DataError(f"{folder}: meta.json belongs to other weights or texts. Delete the folder and run again")
        check_size(folder / "done.u1", texts)
    else:
        # meta.json comes last, so without it nothing here counts.
        for name, size in (("vectors.f16", 2 * texts * dim), ("done.u1", texts)):
            reserve(folder / name, size)
            fsync_path(folder / name)
        write_json(folder / "meta.json", meta)
    done = np.memmap(folder / "done.u1", dtype=np.uint8, mode="r+") if texts else np.zeros(0, dtype=np.uint8)
    return _map_vectors(folder, texts, dim, "r+"), done


def _is_complete(folder: Path) -> bool:
    return (folder / "meta.json").is_file() and bool(read_meta(folder, KIND, VERSION, _META_KEYS)["complete"])


def _map_vectors(folder: Path, texts: int, dim: int, mode: Any) -> Vectors:
    check_size(folder / "vectors.f16", 2 * texts * dim)
    if texts == 0:
        return np.zeros((0, dim), dtype=np.float16)
    return np.memmap(folder / "vectors.f16", dtype=np.float16, mode=mode, shape=(texts, dim))


def to_half(batch: Indices, vectors: torch.Tensor) -> Vectors:
    half = vectors.half()
    if not bool(torch.isfinite(half).all()):
        row = int(torch.nonzero(~torch.isfinite(half).all(dim=1))[0])
        raise DataError(
            f"text encoder: the vector of distinct text {int(batch[row])} must be finite and below 65,504 (got "
            f"{float(vectors[row].abs().max())}). Try text_encoder.dtype: float32 or normalize: true"
        )
    return half.cpu().numpy()


def _prefetch(store: TextTokens, batches: Sequence[Indices], pin: bool, depth: int = 4) -> Iterator[TextBatch]:
    """Collate in a thread, at most `depth` batches ahead. An error there is raised here; nobody waits for ever."""
    ready: queue.Queue[TextBatch | BaseException] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def offer(item: TextBatch | BaseException) -> None:
        while not stop.is_set():
            try:
                return ready.put(item, timeout=0.5)
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
                item = ready.get(timeout=_COLLATE_TIMEOUT_S)
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
