"""The folder of vectors of all distinct texts (or their pieces): how it is read, and how a kill leaves it intact.

float16 [U, D] in `vectors.npy`, in a folder named after the weights' fingerprint and the token store's key: other
weights or other texts have another folder, and the same ones are found again. While it is filled, `done.npy` uint8 [U]
marks rows that are safely on disk; a row is marked only after its bytes were flushed.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from graphstorm_like.arrays import create_array, map_array
from graphstorm_like.cache_use import mark_used
from graphstorm_like.errors import DataError
from graphstorm_like.files import check_contents, content_records, exclusive, read_meta, write_json
from graphstorm_like.hashing import hash_facts
from graphstorm_like.mirror.fetch import fetch_entry
from graphstorm_like.text.batching import Indices
from graphstorm_like.text.tokens import TextTokens

KIND, VERSION = "embedding cache", 2
VECTORS, DONE = "vectors.npy", "done.npy"
_META_KEYS = ("texts", "dim", "weights", "token_store", "normalize", "complete")
# Rows computed since the last flush are lost by a kill: at most this many seconds of work.
_FLUSH_EVERY_S = 10.0
Vectors = npt.NDArray[np.float16]


class EmbeddedTexts(Protocol):
    """Distinct texts, or pieces of texts, with a vector each: a token store, or plain texts."""

    key: str
    """Names them: a hash of the texts and of how they were prepared."""
    folder: Path

    def __len__(self) -> int:
        """Number of vectors U."""
        ...

    @property
    def num_rows(self) -> int:
        """Rows N of the column."""
        ...

    @property
    def num_texts(self) -> int:
        """Distinct texts."""
        ...

    @property
    def row_of_text(self) -> npt.NDArray[np.integer]:
        """int [N]: the distinct text of every row; saved in the folder as row_of_text.npy."""
        ...

    @property
    def piece_offsets(self) -> npt.NDArray[np.int64] | None:
        """int64 [texts + 1]: the pieces of every distinct text; None when each text is one piece."""
        ...

    def pieces(self, text_ids: npt.ArrayLike) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Pieces of distinct texts [n]: (piece ids [P], offsets int64 [n + 1])."""
        ...

    def weights(self, piece_ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """float32 [P]: what pieces weigh in the vector of their text."""
        ...


class EmbeddingCache:
    """A complete cache folder, read by memory map: U distinct texts, or pieces of texts, D dimensions."""

    def __init__(self, folder: Path, meta: dict[str, Any], store: EmbeddedTexts) -> None:
        self.folder = folder
        self.meta = meta
        self.dim: int = meta["dim"]
        self.store = store
        self.vectors: Vectors = map_array(folder / VECTORS, (meta["texts"], meta["dim"]))
        """float16 [U, D]"""

    @classmethod
    def open(cls, path: str | os.PathLike[str], store: EmbeddedTexts) -> EmbeddingCache:
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
        return from_pieces(self.store, self.vectors, text_ids, self.meta["normalize"])


def from_pieces(
    store: TextTokens | EmbeddedTexts, vectors: Vectors, text_ids: npt.ArrayLike, normalize: bool
) -> Vectors:
    """float16 [n, D]: vectors of distinct texts [n] from those of all pieces [U, D].

    For a text in several pieces it is their mean weighted by content tokens, scaled to length 1 when `normalize`.
    """
    ids = np.asarray(text_ids, dtype=np.int64)
    pieces, offsets = store.pieces(ids)
    of_texts: Vectors = np.asarray(vectors[pieces[offsets[:-1]]])
    in_pieces = np.flatnonzero(np.diff(offsets) > 1)
    if len(in_pieces):
        pieces, offsets = store.pieces(ids[in_pieces])
        weights = store.weights(pieces)[:, None]
        means = np.add.reduceat(vectors[pieces] * weights, offsets[:-1])  # float32
        means /= np.add.reduceat(weights, offsets[:-1])
        if normalize:
            means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
        of_texts[in_pieces] = means
    return of_texts


def filled_cache(
    store: EmbeddedTexts,
    facts: Mapping[str, Any],
    cache_dir: Path,
    fill: Callable[[Path, dict[str, Any]], None],
    wait_s: float,
) -> EmbeddingCache:
    """The cache of the vectors of some texts; `fill` (folder, meta) computes those that are missing.

    facts: weights (the encoder's fingerprint), dim, and normalize: whether vectors have length 1.
    """
    named_by = {"kind": KIND, "version": VERSION, "weights": facts["weights"], "token_store": store.key}
    folder = cache_dir / f"vectors-{hash_facts(named_by)}"
    meta = {**named_by, "texts": len(store), "complete": False, **facts}
    if is_complete(folder):
        return _opened(folder, store)
    with exclusive(folder.with_name(folder.name + ".lock"), "filling this embedding cache", wait_s):
        fetch_entry(folder)
        if not is_complete(folder):
            fill(folder, meta)
    return _opened(folder, store)


def _opened(folder: Path, store: EmbeddedTexts) -> EmbeddingCache:
    mark_used(folder)
    mark_used(store.folder)
    return EmbeddingCache.open(folder, store)


def is_complete(folder: Path) -> bool:
    """Whether there is a whole cache; DataError when its meta.json is damaged."""
    return (folder / "meta.json").is_file() and bool(read_meta(folder, KIND, VERSION, _META_KEYS)["complete"])


def open_for_writing(folder: Path, meta: dict[str, Any]) -> tuple[Vectors, npt.NDArray[np.uint8]]:
    """Maps of vectors and marks: those of an interrupted sweep, or new ones."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = (meta["texts"], meta["dim"])
    if (folder / "meta.json").is_file():
        existing = read_meta(folder, KIND, VERSION, _META_KEYS)
        if any(existing[key] != meta[key] for key in _META_KEYS):
            raise DataError(f"{folder}: meta.json belongs to other weights or texts. Delete the folder and run again")
    else:
        # meta.json is written last: without it the folder does not count.
        create_array(folder / VECTORS, shape, np.float16)
        create_array(folder / DONE, shape[:1], np.uint8)
        write_json(folder / "meta.json", meta)
    return map_array(folder / VECTORS, shape, "r+"), map_array(folder / DONE, shape[:1], "r+")


def write_results(
    folder: Path,
    meta: dict[str, Any],
    vectors: Vectors,
    done: npt.NDArray[np.uint8],
    results: Generator[tuple[Indices, Vectors], None, None],
    tell: Callable[[Indices], None],
) -> None:
    """Write the last missing vectors, (positions [n], rows [n, D]), and mark the cache as complete. tell: called
    with the positions that were written."""
    unflushed: list[Indices] = []
    flushed_at = time.monotonic()
    with contextlib.closing(results):  # on an error workers end now, not when the traceback is freed
        for batch, values in results:
            vectors[batch] = values
            unflushed.append(batch)
            tell(batch)
            if time.monotonic() - flushed_at > _FLUSH_EVERY_S:
                mark_done(vectors, done, unflushed)
                flushed_at = time.monotonic()
    mark_done(vectors, done, unflushed)
    write_json(folder / "meta.json", {**meta, "complete": True, "files": content_records(folder)})
    (folder / DONE).unlink()


def mark_done(vectors: Vectors, done: npt.NDArray[np.uint8], batches: list[Indices]) -> None:
    """Bytes first, marks second: a power cut can never leave a mark without its bytes."""
    if not batches:
        return
    for mapped in (vectors, done):
        if mapped is done:
            done[np.concatenate(batches)] = 1
        if isinstance(mapped, np.memmap):
            mapped.flush()
    batches.clear()


def to_half(batch: Indices, vectors: torch.Tensor) -> Vectors:
    """float16 [n, D], as the cache keeps vectors; DataError when one is not finite, with the number of its text [n]."""
    half = vectors.half()
    if not bool(torch.isfinite(half).all()):
        row = int(torch.nonzero(~torch.isfinite(half).all(dim=1))[0])
        raise DataError(
            f"text encoder: the vector of distinct text {int(batch[row])} must be finite and below 65,504 (got "
            f"{float(vectors[row].abs().max())}). Try text_encoder.dtype: float32 or normalize: true"
        )
    return half.cpu().numpy()
