"""Token store: every distinct text tokenised once, kept unpadded on disk and read by memory map.

Padded int64 ids with mask and type ids cost 10 bytes a slot; a title of 18 tokens padded to 128 takes 1,280 bytes,
here 44. In: an Arrow string column of N rows (null counts as the empty text). Out: a folder with `tokens.npy`
uint16/uint32 [T], `offsets.npy` int64 [U+1], `row_of_text.npy` int32/int64 [N] -> distinct texts, `meta.json`. The
folder's name is a hash of texts, tokenizer and max_tokens: the same inputs find the same folder. With `max_chunks` a
long text is kept as several pieces: U counts pieces, and `piece_offsets.npy` int64 [texts+1] says whose they are.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graphstorm_like.arrays import ArrayWriter, map_array, save_array
from graphstorm_like.cache_use import mark_used
from graphstorm_like.errors import DataError
from graphstorm_like.files import check_contents, content_records, exclusive, fsync_path, read_meta, write_json
from graphstorm_like.hashing import hash_facts
from graphstorm_like.mirror.fetch import fetch_entry
from graphstorm_like.pending import Pending
from graphstorm_like.ranges import ranges
from graphstorm_like.text.column import Strings, TextColumn, text_sizes
from graphstorm_like.text.tokenizing import Tokenizer, tokenizer_facts, tokenizer_fingerprint

Progress = Callable[[int, int], None]
"""Called with (done, total)."""

KIND, VERSION = "token store", 2
TOKENS, OFFSETS, ROW_OF_TEXT, PIECE_OFFSETS = "tokens.npy", "offsets.npy", "row_of_text.npy", "piece_offsets.npy"
_META_KEYS = ("key", "rows", "texts", "tokens", "max_tokens", "pad_id", "truncated_texts")
# Texts per tokenizer call: enough for all cores, few enough that the Python ints of one call stay below ~100 MB.
_TOKENIZE_BATCH = 4096
# And their bytes: the tokenizer takes about 130 bytes of memory per character.
_TOKENIZE_BYTES = 1 << 22


class TextTokens:
    """N rows, U pieces of distinct texts (without chunks, one per text), T tokens: in memory or mapped."""

    def __init__(
        self,
        tokens: npt.NDArray[Any],
        offsets: npt.NDArray[np.int64],
        row_of_text: npt.NDArray[np.integer],
        piece_offsets: npt.NDArray[np.int64] | None,
        facts: TokenFacts,
    ) -> None:
        self._tokens, self._offsets, self.facts = tokens, offsets, facts
        self.piece_offsets = piece_offsets
        """int64 [texts + 1]: the pieces of every distinct text; None when each text is one piece."""
        self.row_of_text = row_of_text
        """int [N]: the distinct text of every input row."""

    @property
    def max_tokens(self) -> int:
        """Largest number of tokens in a piece."""
        return self.facts.max_tokens

    @property
    def pad_id(self) -> int:
        """Id of the padding token."""
        return self.facts.pad_id

    def __len__(self) -> int:
        """Number of pieces U; without chunks, that of distinct texts."""
        return len(self._offsets) - 1

    @property
    def num_texts(self) -> int:
        """Number of distinct texts."""
        return len(self if self.piece_offsets is None else self.piece_offsets[1:])

    def lengths(self) -> npt.NDArray[np.int64]:
        """int64 [U]: tokens of each piece, special tokens included; at least 1."""
        return np.diff(self._offsets)

    def lengths_of(self, rows: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """int64 [n]: tokens of the texts of input rows [n]."""
        first = np.asarray(self.row_of_text[np.asarray(rows, dtype=np.int64)], dtype=np.int64)
        after = first + 1
        if self.piece_offsets is not None:
            first, after = self.piece_offsets[first], self.piece_offsets[after]
        lengths: npt.NDArray[np.int64] = self._offsets[after] - self._offsets[first]
        return lengths

    def pieces(self, text_ids: npt.ArrayLike) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Pieces of distinct texts [n]: (piece ids [P], offsets int64 [n + 1])."""
        ids = np.asarray(text_ids, dtype=np.int64)
        if self.piece_offsets is None:
            return ids, np.arange(len(ids) + 1)
        first = self.piece_offsets[ids]
        return ranges(first, self.piece_offsets[ids + 1] - first)

    def weights(self, piece_ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """float32 [P]: content tokens of pieces, at least 1: what a piece weighs in the vector of its text."""
        lengths = self._offsets[piece_ids + 1] - self._offsets[piece_ids]
        content: npt.NDArray[np.int64] = np.maximum(lengths - self.facts.special_per_piece, 1)
        return content.astype(np.float32)

    def tokens(self, unique_ids: npt.ArrayLike) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
        """Token ids of the given pieces: (flat ids [T'], offsets int64 [len(unique_ids) + 1])."""
        ids = np.asarray(unique_ids, dtype=np.int64)
        first = self._offsets[ids]
        positions, offsets = ranges(first, self._offsets[ids + 1] - first)
        return self._tokens[positions], offsets


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What is the same for all texts of a column."""

    max_tokens: int
    pad_id: int
    special_per_piece: int = 0


@dataclass(frozen=True, slots=True)
class Fetched:
    """The texts of some rows of a column, in memory."""

    tokens: TextTokens
    """Its rows are the requested rows, in their order; its texts are in the order of the column."""
    pieces: npt.NDArray[np.int64]
    """[U]: numbers of its pieces in the column."""


class TokenSource(Protocol):
    """Tokens of a text column, wherever they are."""

    def begin_lengths(self, rows: npt.NDArray[np.int64]) -> Pending[npt.NDArray[np.int64]]:
        """Start to read how many tokens the texts of rows [n] have; the result waits for them [n]."""
        ...

    def begin_fetch(self, rows: npt.NDArray[np.int64]) -> Pending[Fetched]:
        """Start to read the texts of rows [n]; the result waits for them."""
        ...


class TokenStore(TextTokens):
    """Read-only view of a token store folder; a TokenSource."""

    def __init__(self, folder: Path, meta: dict[str, Any]) -> None:
        self.folder = folder
        self.meta = meta
        self.key: str = meta["key"]
        texts, rows = meta["texts"], meta["rows"]
        super().__init__(
            map_array(folder / TOKENS, (meta["tokens"],)),
            map_array(folder / OFFSETS, (meta.get("pieces", texts) + 1,)),
            map_array(folder / ROW_OF_TEXT, (rows,)),
            map_array(folder / PIECE_OFFSETS, (texts + 1,)) if "pieces" in meta else None,
            TokenFacts(meta["max_tokens"], meta["pad_id"], meta.get("special_per_piece", 0)),
        )
        if self._offsets[-1] != meta["tokens"]:
            raise DataError(
                f"{folder / OFFSETS}: must end with {meta['tokens']:,}, the number of tokens (got "
                f"{self._offsets[-1]:,}). Delete the folder {folder} and run again; it will be rebuilt."
            )

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> TokenStore:
        """Open a store folder; raises DataError when it is incomplete."""
        folder = Path(path)
        meta = read_meta(folder, KIND, VERSION, _META_KEYS)
        check_contents(folder, meta)
        return cls(folder, meta)

    @property
    def num_rows(self) -> int:
        """Number of input rows N."""
        return int(self.meta["rows"])

    def begin_lengths(self, rows: npt.NDArray[np.int64]) -> Pending[npt.NDArray[np.int64]]:
        """See TokenSource."""
        return Pending(lambda: self.lengths_of(rows))

    def begin_fetch(self, rows: npt.NDArray[np.int64]) -> Pending[Fetched]:
        """See TokenSource."""

        def read() -> Fetched:
            texts, row_of_text = np.unique(np.asarray(self.row_of_text[rows], dtype=np.int64), return_inverse=True)
            pieces, piece_offsets = self.pieces(texts)
            tokens, offsets = self.tokens(pieces)
            split = None if self.piece_offsets is None else piece_offsets
            return Fetched(TextTokens(tokens, offsets, row_of_text, split, self.facts), pieces)

        return Pending(read)


def build_token_store(
    texts: Strings,
    tokenizer: Any,
    cache_dir: str | os.PathLike[str],
    max_tokens: int,
    truncate: Literal["truncate", "error"] = "truncate",
    progress: Progress | None = None,
    wait_s: float = 3600.0,
    max_chunks: int | None = None,
) -> TokenStore:
    """Tokenise a text column into `cache_dir`, or open what an earlier call with the same inputs left there.

    Args:
        texts: N strings; null and '' are tokenised as the empty text (its special tokens only).
        tokenizer: a Hugging Face tokenizer, fast (Rust, all cores) or slow.
        max_tokens: longer texts are cut to this many tokens, special tokens included, or into pieces of that.
        truncate: 'error' raises DataError when any text had to be cut.
        progress: called with (distinct texts done, all distinct texts).
        wait_s: how long to wait for another process that builds the same store.
        max_chunks: largest number of pieces per text; None truncates.
    """
    column = TextColumn(texts)
    facts: dict[str, Any] = {
        "column_hash": column.hash,
        "tokenizer": tokenizer_fingerprint(tokenizer),
        "max_tokens": max_tokens,
    }
    if max_chunks is not None:
        facts |= {"max_chunks": max_chunks, "special_per_piece": tokenizer.num_special_tokens_to_add()}
    key = hash_facts({"kind": KIND, "version": VERSION, **facts})
    folder = Path(cache_dir) / f"tokens-{key}"
    if not folder.exists():
        with exclusive(folder.with_name(folder.name + ".lock"), "tokenising these texts", wait_s):
            if not folder.exists() and not fetch_entry(folder):
                _build(column, tokenizer, folder, {"key": key, **facts}, progress)
    mark_used(folder)
    store = TokenStore.open(folder)
    if truncate == "error" and (cut := store.meta["truncated_texts"]):
        pieces = f"{max_chunks} pieces of " if max_chunks else ""
        limit = f"{pieces}max_tokens={max_tokens}"
        raise DataError(
            f"text column: {cut:,} of {store.num_texts:,} distinct texts are longer than {limit}. "
            "Raise max_tokens or allow cutting with truncate: truncate"
        )
    return store


def tokens_now(texts: pa.Array, encode: Tokenizer, facts: TokenFacts, in_pieces: bool) -> TextTokens:
    """Tokens of a few texts [N], in memory. in_pieces: whether a text may have several pieces."""
    distinct = pc.fill_null(pc.cast(texts, pa.large_string()), "").dictionary_encode()
    flat, lengths, pieces, _ = encode(distinct.dictionary.to_pylist())
    offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
    piece_offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(pieces)]) if in_pieces else None
    return TextTokens(flat, offsets, distinct.indices.to_numpy(zero_copy_only=False), piece_offsets, facts)


def _build(column: TextColumn, tokenizer: Any, folder: Path, facts: dict[str, Any], progress: Progress | None) -> None:
    for stale in folder.parent.glob(f"{folder.name}.tmp-*"):  # ours alone: we hold the lock
        shutil.rmtree(stale, ignore_errors=True)
    temporary = folder.with_name(f"{folder.name}.tmp-{os.getpid()}")
    temporary.mkdir()
    try:
        meta = _write_arrays(column, tokenizer, temporary, facts, progress)
        write_json(temporary / "meta.json", {**meta, "files": content_records(temporary)})
        os.rename(temporary, folder)
        fsync_path(folder.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _write_arrays(
    column: TextColumn, tokenizer: Any, folder: Path, facts: dict[str, Any], progress: Progress | None
) -> dict[str, Any]:
    texts, slabs = column.distinct()
    special = tokenizer_facts(tokenizer)
    token_dtype = "uint16" if special["vocab_size"] < 1 << 16 else "uint32"
    row_dtype = "int32" if texts < 1 << 31 else "int64"
    encode = Tokenizer(tokenizer, facts["max_tokens"], facts.get("max_chunks", 1))
    lengths: list[npt.NDArray[np.int64]] = []
    pieces: list[npt.NDArray[np.int64]] = []
    texts_done = texts_cut = 0
    with ArrayWriter(folder / TOKENS, token_dtype) as tokens, ArrayWriter(folder / ROW_OF_TEXT, row_dtype) as rows:
        for text_of_row, new_texts in slabs:
            rows.append(text_of_row)
            for batch in _tokenizer_batches(new_texts):
                flat, part_lengths, part_pieces, part_cut = encode(batch.to_pylist())
                tokens.append(flat)
                lengths.append(part_lengths)
                pieces.append(part_pieces)
                texts_done, texts_cut = texts_done + len(part_pieces), texts_cut + part_cut
                if progress is not None:
                    progress(texts_done, texts)
    assert texts_done == texts
    counts = {"rows": len(column), "texts": texts, "tokens": tokens.length, "truncated_texts": texts_cut}
    _save_offsets(folder / OFFSETS, lengths)
    if "max_chunks" in facts:
        counts["pieces"] = _save_offsets(folder / PIECE_OFFSETS, pieces)
    return {"kind": KIND, "version": VERSION, **facts, **special, **counts}


def _tokenizer_batches(texts: pa.Array) -> Iterator[pa.Array]:
    """Slices of at most _TOKENIZE_BATCH texts and _TOKENIZE_BYTES bytes; a longer text gets a slice of its own."""
    ends = np.cumsum(text_sizes(texts))
    start = 0
    while start < len(texts):
        before = ends[start - 1] if start else 0
        fits = int(np.searchsorted(ends, before + _TOKENIZE_BYTES, side="right"))
        stop = max(start + 1, min(fits, start + _TOKENIZE_BATCH))
        yield texts.slice(start, stop - start)
        start = stop


def _save_offsets(path: Path, parts: list[npt.NDArray[np.int64]]) -> int:
    """Write running sums of counts, beginning with 0; returns the last."""
    offsets = np.cumsum(np.concatenate([np.zeros(1, dtype=np.int64), *parts]))
    save_array(path, offsets)
    return int(offsets[-1])
