"""The folder of vectors of all distinct texts (or their pieces): how it is read, and filled so that a kill is no harm.

float16 [U, D] in `vectors.npy`, in a folder named after the weights' fingerprint and the token store's key: other
weights or other texts are another folder, the same ones are opened at once. While it is filled, `done.npy` uint8 [U]
marks rows that are safely on disk; a row is marked only after its bytes were flushed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from graphstorm_like.arrays import create_array, map_array
from graphstorm_like.errors import DataError
from graphstorm_like.files import read_meta, write_json
from graphstorm_like.hashing import hash_facts
from graphstorm_like.text.batching import Indices
from graphstorm_like.text.tokens import TextTokens, TokenStore

KIND, VERSION = "embedding cache", 2
VECTORS, DONE = "vectors.npy", "done.npy"
_META_KEYS = ("texts", "dim", "weights", "token_store", "normalize", "complete")
Vectors = npt.NDArray[np.float16]


class EmbeddingCache:
    """A complete cache folder, read by memory map: U distinct texts, or pieces of texts, D dimensions."""

    def __init__(self, folder: Path, meta: dict[str, Any], store: TokenStore) -> None:
        self.folder = folder
        self.meta = meta
        self.dim: int = meta["dim"]
        self.store = store
        self.vectors: Vectors = map_array(folder / VECTORS, (meta["texts"], meta["dim"]))
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


def from_pieces(store: TextTokens, vectors: Vectors, text_ids: npt.ArrayLike, normalize: bool) -> Vectors:
    """float16 [n, D]: vectors of distinct texts [n] from those of all pieces [U, D].

    Of a text in several pieces it is their mean by content tokens, scaled to length 1 when `normalize`.
    """
    ids = np.asarray(text_ids, dtype=np.int64)
    pieces, offsets = store.pieces(ids)
    of_texts: Vectors = np.asarray(vectors[pieces[offsets[:-1]]])
    many = np.flatnonzero(np.diff(offsets) > 1)
    if len(many):
        pieces, offsets = store.pieces(ids[many])
        weights = store.weights(pieces)[:, None]
        means = np.add.reduceat(vectors[pieces] * weights, offsets[:-1])  # float32
        means /= np.add.reduceat(weights, offsets[:-1])
        if normalize:
            means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
        of_texts[many] = means
    return of_texts


def cache_meta(weights: str, dim: int, normalize: bool, store: TokenStore) -> dict[str, Any]:
    """The meta.json of a cache that is to be filled."""
    facts = {"kind": KIND, "version": VERSION, "weights": weights, "token_store": store.key}
    return {**facts, "texts": len(store), "dim": dim, "normalize": normalize, "complete": False}


def cache_folder(parent: Path, meta: dict[str, Any]) -> Path:
    """Where the cache of a meta.json lies."""
    return parent / f"vectors-{hash_facts({key: meta[key] for key in ('kind', 'version', 'weights', 'token_store')})}"


def is_complete(folder: Path) -> bool:
    """Whether there is a whole cache; DataError when its meta.json is damaged."""
    return (folder / "meta.json").is_file() and bool(read_meta(folder, KIND, VERSION, _META_KEYS)["complete"])


def open_for_writing(folder: Path, meta: dict[str, Any]) -> tuple[Vectors, npt.NDArray[np.uint8]]:
    """Maps of vectors and marks: those of an interrupted sweep, or new ones."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = (meta["texts"], meta["dim"])
    if (folder / "meta.json").is_file():
        there = read_meta(folder, KIND, VERSION, _META_KEYS)
        if any(there[key] != meta[key] for key in _META_KEYS):
            raise DataError(f"{folder}: meta.json belongs to other weights or texts. Delete the folder and run again")
    else:
        # meta.json comes last, so without it nothing here counts.
        create_array(folder / VECTORS, shape, np.float16)
        create_array(folder / DONE, shape[:1], np.uint8)
        write_json(folder / "meta.json", meta)
    return map_array(folder / VECTORS, shape, "r+"), map_array(folder / DONE, shape[:1], "r+")


def mark_done(vectors: Vectors, done: npt.NDArray[np.uint8], batches: list[Indices]) -> None:
    """Bytes first, marks second: a mark never speaks of bytes that a power cut could take back."""
    if not batches:
        return
    for mapped in (vectors, done):
        if mapped is done:
            done[np.concatenate(batches)] = 1
        if isinstance(mapped, np.memmap):
            mapped.flush()
    batches.clear()


def finish(folder: Path, meta: dict[str, Any]) -> None:
    """Say that all vectors are there."""
    write_json(folder / "meta.json", {**meta, "complete": True})
    (folder / DONE).unlink()


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
