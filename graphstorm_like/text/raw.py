"""Plain texts, for encoders without a tokenizer: every distinct text once, its vectors in the same kind of cache.

In: a string column of N rows. Out: a folder with `row_of_text.npy` int64 [N] -> distinct texts, and an embedding cache.
The distinct texts themselves are in memory while they are embedded; the folder keeps only their hash.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graphstorm_like.arrays import map_array, save_array
from graphstorm_like.config.plugins import plugin_of
from graphstorm_like.errors import DataError
from graphstorm_like.files import check_contents, content_records, exclusive, fsync_path, read_meta, write_json
from graphstorm_like.text.batching import Indices
from graphstorm_like.text.cache import EmbeddingCache, Vectors, filled_cache, open_for_writing, write_results
from graphstorm_like.text.column import TextColumn
from graphstorm_like.text.tokens import ROW_OF_TEXT, Progress

KIND, VERSION = "distinct texts", 2
_META_KEYS = ("key", "rows", "texts")
_LARGEST = float(np.finfo(np.float16).max)


class Encodes(Protocol):
    """What an encoder must provide here."""

    @property
    def width(self) -> int:
        """D"""
        ...

    def fingerprint(self) -> str:
        """Names its vectors."""
        ...

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.floating[Any]]:
        """[n, D]"""
        ...


class DistinctTexts:
    """See EmbeddedTexts: a text is one piece."""

    piece_offsets = None

    def __init__(self, folder: Path, meta: dict[str, Any]) -> None:
        self.folder, self.key = folder, str(meta["key"])
        self.num_rows, self.num_texts = int(meta["rows"]), int(meta["texts"])
        self.row_of_text = map_array(folder / ROW_OF_TEXT, (self.num_rows,))
        """int64 [N]: the distinct text of every row."""

    @classmethod
    def open(cls, folder: Path) -> DistinctTexts:
        """DataError when the folder is incomplete or damaged."""
        meta = read_meta(folder, KIND, VERSION, _META_KEYS)
        check_contents(folder, meta)
        return cls(folder, meta)

    def __len__(self) -> int:
        return self.num_texts

    def pieces(self, text_ids: npt.ArrayLike) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """See EmbeddedTexts."""
        ids = np.asarray(text_ids, dtype=np.int64)
        return ids, np.arange(len(ids) + 1)

    def weights(self, piece_ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """See EmbeddedTexts."""
        return np.ones(len(piece_ids), dtype=np.float32)


def embed_raw(
    encoder: Encodes, batch_size: int, texts: pa.Array, cache: Path, progress: Progress, wait_s: float
) -> EmbeddingCache:
    """Vectors of every distinct text of a column [N]: from the cache, or computed `batch_size` texts at a time.

    A sweep that was stopped resumes. Vectors of a plug-in are computed anew after its file has changed. DataError for
    vectors of another shape than [n, width], or that float16 cannot hold.
    """
    column = TextColumn(texts)
    folder = cache / f"texts-{column.hash}"
    if not folder.exists():
        with exclusive(folder.with_name(folder.name + ".lock"), "finding the distinct texts", max(wait_s, 60.0)):
            if not folder.exists():
                _write_distinct(column, folder)
    store = DistinctTexts.open(folder)
    plugin = plugin_of(type(encoder).__module__)
    weights = encoder.fingerprint() if plugin is None else f"{encoder.fingerprint()} of {':'.join(plugin)}"
    facts = {"weights": weights, "dim": encoder.width, "normalize": False}

    def fill(target: Path, meta: dict[str, Any]) -> None:
        vectors, done = open_for_writing(target, meta)
        missing = np.flatnonzero(np.asarray(done) == 0)
        written = len(store) - len(missing)

        def tell(batch: Indices) -> None:
            nonlocal written
            written += len(batch)
            progress(written, len(store))

        write_results(target, meta, vectors, done, _compute(encoder, batch_size, column, missing), tell)

    return filled_cache(store, facts, cache, fill, wait_s)


def _distinct(column: TextColumn) -> tuple[npt.NDArray[np.int64], pa.ChunkedArray]:
    """(number [N] of each row's text, the distinct texts in the order of their first rows); null is the empty text."""
    slabs = list(column.distinct()[1])
    numbers = np.concatenate([np.zeros(0, dtype=np.int64), *(of_rows for of_rows, _ in slabs)])
    return numbers, pa.chunked_array([new for _, new in slabs], type=pa.large_string())


def _write_distinct(column: TextColumn, folder: Path) -> None:
    numbers, texts = _distinct(column)
    temporary = folder.with_name(f"{folder.name}.tmp")  # ours alone: we hold the lock
    temporary.mkdir(exist_ok=True)
    save_array(temporary / ROW_OF_TEXT, numbers)
    meta = {"kind": KIND, "version": VERSION, "key": column.hash, "rows": len(numbers), "texts": len(texts)}
    write_json(temporary / "meta.json", meta | {"files": content_records(temporary)})
    temporary.rename(folder)
    fsync_path(folder.parent)


def _compute(
    encoder: Encodes, batch_size: int, column: TextColumn, missing: npt.NDArray[np.int64]
) -> Generator[tuple[Indices, Vectors], None, None]:
    _, texts = _distinct(column)
    for start in range(0, len(missing), batch_size):
        batch = missing[start : start + batch_size]
        rows = np.asarray(encoder(texts.take(pa.array(batch)).to_pylist()))
        if rows.shape != (len(batch), encoder.width):
            raise DataError(
                f"text encoder {type(encoder).__name__}: must give vectors of shape {(len(batch), encoder.width)} for "
                f"{len(batch)} texts (got {rows.shape})"
            )
        if not (np.abs(rows) <= _LARGEST).all():  # NaN is not
            raise DataError(
                f"text encoder {type(encoder).__name__}: must give finite vectors below {_LARGEST:,.0f} (got "
                f"{rows[~(np.abs(rows) <= _LARGEST)][0]})"
            )
        yield batch, rows.astype(np.float16)
