"""Ragged token store: every distinct text tokenised once, kept unpadded on disk and read by memory map.

Padded int64 ids with mask and type ids cost 10 bytes a slot; a title of 18 tokens padded to 128 takes 1,280 bytes,
here 44. In: an Arrow string column of N rows (null counts as the empty text). Out: a folder with `tokens.bin`
uint16/uint32 [T], `offsets.bin` int64 [U+1], `row_of_text.bin` int32/int64 [N] -> distinct texts, `meta.json`. The
folder's name is a hash of texts, tokenizer and max_tokens: the same question finds the same folder. With `max_chunks`
a long text is kept as several pieces: U counts pieces, and `piece_offsets.bin` int64 [texts+1] says whose they are.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graphstorm_like.errors import DataError, must_be
from graphstorm_like.files import (
    check_contents,
    check_size,
    content_records,
    exclusive,
    fsync_path,
    read_meta,
    write_json,
)
from graphstorm_like.ragged import ranges
from graphstorm_like.text.tokenizing import Tokenizer, tokenizer_facts, tokenizer_fingerprint

Progress = Callable[[int, int], None]
"""Called with (done, total)."""

KIND, VERSION = "token store", 1
_META_KEYS = ("key", "rows", "texts", "tokens", "token_dtype", "row_dtype", "max_tokens", "pad_id", "truncated_texts")
# 262,144 rows of 1 kB are 256 MB: what one pass holds in memory.
_SLAB_ROWS = 1 << 18
# Texts a tokenizer call: large enough for all cores, small enough that the Python ints of one call stay below ~100 MB.
_TOKENIZE_BATCH = 4096
# And their bytes: the tokenizer takes about 130 bytes of memory a character.
_TOKENIZE_BYTES = 1 << 22


class TextTokens:
    """N rows, U pieces of distinct texts (each its only one), T tokens: in memory or mapped."""

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
        """Tokens of a piece at most."""
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
        found: npt.NDArray[np.int64] = self._offsets[after] - self._offsets[first]
        return found

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
        where, offsets = ranges(first, self._offsets[ids + 1] - first)
        return self._tokens[where], offsets


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
    """Its rows are the rows that were asked for, in their order; its texts stand as in the column."""
    pieces: npt.NDArray[np.int64]
    """[U]: numbers of its pieces in the column."""


class TokenSource(Protocol):
    """Tokens of a text column, wherever they are."""

    def begin_lengths(self, rows: npt.NDArray[np.int64]) -> Callable[[], npt.NDArray[np.int64]]:
        """Start to read how many tokens the texts of rows [n] have; the result waits for them [n]."""
        ...

    def begin_fetch(self, rows: npt.NDArray[np.int64]) -> Callable[[], Fetched]:
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
            _map(folder / "tokens.bin", meta["token_dtype"], meta["tokens"]),
            _map(folder / "offsets.bin", "int64", meta.get("pieces", texts) + 1),
            _map(folder / "row_of_text.bin", meta["row_dtype"], rows),
            _map(folder / "piece_offsets.bin", "int64", texts + 1) if "pieces" in meta else None,
            TokenFacts(meta["max_tokens"], meta["pad_id"], meta.get("special_per_piece", 0)),
        )

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> TokenStore:
        """Open a store folder; raises DataError when it is not a whole one."""
        folder = Path(path)
        meta = read_meta(folder, KIND, VERSION, _META_KEYS)
        check_contents(folder, meta)
        return cls(folder, meta)

    @property
    def num_rows(self) -> int:
        """Number of input rows N."""
        return int(self.meta["rows"])

    def begin_lengths(self, rows: npt.NDArray[np.int64]) -> Callable[[], npt.NDArray[np.int64]]:
        """See TokenSource."""
        return lambda: self.lengths_of(rows)

    def begin_fetch(self, rows: npt.NDArray[np.int64]) -> Callable[[], Fetched]:
        """See TokenSource."""

        def read() -> Fetched:
            texts, row_of_text = np.unique(np.asarray(self.row_of_text[rows], dtype=np.int64), return_inverse=True)
            pieces, piece_offsets = self.pieces(texts)
            tokens, offsets = self.tokens(pieces)
            split = None if self.piece_offsets is None else piece_offsets
            return Fetched(TextTokens(tokens, offsets, row_of_text, split, self.facts), pieces)

        return read


def as_text_column(texts: pa.ChunkedArray | pa.Array | Sequence[str | None]) -> pa.ChunkedArray:
    """Any column of strings, or a list, as a chunked array; raises DataError for another type."""
    if isinstance(texts, pa.Array):
        texts = pa.chunked_array([texts])
    elif not isinstance(texts, pa.ChunkedArray):
        texts = pa.chunked_array([pa.array(texts, type=pa.large_string())])
    kind = texts.type.value_type if pa.types.is_dictionary(texts.type) else texts.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or str(kind) == "string_view"):
        raise DataError(must_be("text column", "type", "string", str(kind), "Cast the column to string first."))
    return texts


def text_column_hash(texts: pa.ChunkedArray | pa.Array | Sequence[str | None]) -> str:
    """Hash of a column's content: the same however it is chunked, sliced or stored; null and '' differ."""
    lengths_hash, data_hash = blake2b(digest_size=20), blake2b(digest_size=20)
    for slab in _slabs(as_text_column(texts)):
        filled = slab.fill_null("") if slab.null_count else slab
        offsets, data = _buffers(filled)
        lengths = np.diff(offsets)
        if slab.null_count:
            lengths[slab.is_null().to_numpy(zero_copy_only=False)] = -1
        lengths_hash.update(lengths.astype("<i8").data)
        data_hash.update(data[offsets[0] : offsets[-1]].data)
    return blake2b(lengths_hash.digest() + data_hash.digest(), digest_size=20).hexdigest()


def build_token_store(
    texts: pa.ChunkedArray | pa.Array | Sequence[str | None],
    tokenizer: Any,
    cache_dir: str | os.PathLike[str],
    max_tokens: int,
    truncate: Literal["truncate", "error"] = "truncate",
    progress: Progress | None = None,
    wait_s: float = 3600.0,
    max_chunks: int | None = None,
) -> TokenStore:
    """Tokenise a text column into `cache_dir`, or open what an earlier call left there for the same question.

    Args:
        texts: N strings; null and '' are tokenised as the empty text (its special tokens only).
        tokenizer: a Hugging Face tokenizer, fast (Rust, all cores) or slow.
        max_tokens: longer texts are cut to this many tokens, special tokens included, or into pieces of that.
        truncate: 'error' raises DataError when any text had to be cut.
        progress: called with (distinct texts done, all distinct texts).
        wait_s: how long to wait for another process that builds the same store.
        max_chunks: pieces a text at most; None truncates.
    """
    column = as_text_column(texts)
    facts = {
        "column_hash": text_column_hash(column),
        "tokenizer": tokenizer_fingerprint(tokenizer),
        "max_tokens": max_tokens,
    }
    if max_chunks is not None:
        facts |= {"max_chunks": max_chunks, "special_per_piece": tokenizer.num_special_tokens_to_add()}
    key = blake2b(repr((KIND, VERSION, sorted(facts.items()))).encode(), digest_size=16).hexdigest()
    folder = Path(cache_dir) / f"tokens-{key}"
    if not folder.exists():
        with exclusive(folder.with_name(folder.name + ".lock"), "tokenising these texts", wait_s):
            if not folder.exists():
                _build(column, tokenizer, folder, {"key": key, **facts}, progress)
    store = TokenStore.open(folder)
    if truncate == "error" and (cut := store.meta["truncated_texts"]):
        limit = f"{f'{max_chunks} pieces of ' if max_chunks else ''}max_tokens={max_tokens}"
        raise DataError(
            f"text column: {cut:,} of {store.num_texts:,} distinct texts are longer than {limit}. "
            "Raise max_tokens or allow cutting with truncate: truncate"
        )
    return store


def _build(
    column: pa.ChunkedArray, tokenizer: Any, folder: Path, facts: dict[str, Any], progress: Progress | None
) -> None:
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
    column: pa.ChunkedArray, tokenizer: Any, folder: Path, facts: dict[str, Any], progress: Progress | None
) -> dict[str, Any]:
    id_of_local, is_first = _deduplicate(column)
    texts = int(is_first.sum())
    special = tokenizer_facts(tokenizer)
    token_dtype = np.dtype("uint16" if special["vocab_size"] < 1 << 16 else "uint32")
    row_dtype = np.dtype("int32" if texts < 1 << 31 else "int64")
    encode = Tokenizer(tokenizer, facts["max_tokens"], facts.get("max_chunks", 1))
    lengths: list[npt.NDArray[np.int64]] = []
    pieces: list[npt.NDArray[np.int64]] = []
    local, done, cut = 0, 0, 0
    with open(folder / "tokens.bin", "wb") as token_file, open(folder / "row_of_text.bin", "wb") as row_file:
        for codes, distinct in _encoded_slabs(column):
            ids = id_of_local[local : local + len(distinct)]
            row_file.write(ids[codes].astype(row_dtype).data)
            new = distinct.filter(pa.array(is_first[local : local + len(distinct)]))
            local += len(distinct)
            for batch in _tokenizer_batches(new):
                flat, part_lengths, part_pieces, part_cut = encode(batch.to_pylist())
                token_file.write(flat.astype(token_dtype).data)
                lengths.append(part_lengths)
                pieces.append(part_pieces)
                done, cut = done + len(part_pieces), cut + part_cut
                if progress is not None:
                    progress(done, texts)
        for file in (token_file, row_file):
            file.flush()
            os.fsync(file.fileno())
    assert done == texts
    tokens = _write_offsets(folder / "offsets.bin", lengths)
    counts = {"rows": len(column), "texts": texts, "tokens": tokens, "truncated_texts": cut}
    if "max_chunks" in facts:
        counts["pieces"] = _write_offsets(folder / "piece_offsets.bin", pieces)
    dtypes = {"token_dtype": token_dtype.name, "row_dtype": row_dtype.name}
    return {"kind": KIND, "version": VERSION, **facts, **special, **counts, **dtypes}


def _tokenizer_batches(texts: pa.Array) -> Iterator[pa.Array]:
    """Slices of at most _TOKENIZE_BATCH texts and _TOKENIZE_BYTES bytes; a longer text is alone."""
    offsets, _ = _buffers(texts)
    start = 0
    while start < len(texts):
        fits = int(np.searchsorted(offsets, offsets[start] + _TOKENIZE_BYTES, side="right")) - 1
        stop = max(start + 1, min(fits, start + _TOKENIZE_BATCH, len(texts)))
        yield texts.slice(start, stop - start)
        start = stop


def _write_offsets(path: Path, parts: list[npt.NDArray[np.int64]]) -> int:
    """Write running sums of counts, beginning with 0; returns the last."""
    offsets = np.cumsum(np.concatenate([np.zeros(1, dtype=np.int64), *parts]))
    offsets.tofile(path)
    fsync_path(path)
    return int(offsets[-1])


def _deduplicate(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """For every distinct text of every slab: its global id (by first appearance) and whether this is that appearance.

    Slabs are compared by 128-bit digests of their texts: 16 bytes a text in memory instead of the text, and about 1
    us a text where tokenising costs 50 or more.
    """
    digests = [_digests(distinct) for _, distinct in _encoded_slabs(column)]
    pairs = np.concatenate([np.zeros((0, 2), dtype=np.uint64), *digests])
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))  # stable: within equal digests the first appearance comes first
    starts_group = np.ones(len(pairs), dtype=bool)
    starts_group[1:] = (pairs[order][1:] != pairs[order][:-1]).any(axis=1)
    is_first = np.zeros(len(pairs), dtype=bool)
    is_first[order[starts_group]] = True
    id_by_position = np.cumsum(is_first) - 1
    id_of_group = id_by_position[order[starts_group]]
    id_of_local = np.empty(len(pairs), dtype=np.int64)
    id_of_local[order] = id_of_group[np.cumsum(starts_group) - 1]
    return id_of_local, is_first


def _digests(distinct: pa.Array) -> npt.NDArray[np.uint64]:
    offsets, data = _buffers(distinct)
    bounds = offsets.tolist()
    view = data.data
    joined = b"".join(blake2b(view[a:b], digest_size=16).digest() for a, b in itertools.pairwise(bounds))
    return np.frombuffer(joined, dtype=np.uint64).reshape(-1, 2)


def _slabs(column: pa.ChunkedArray) -> Iterator[pa.Array]:
    """The column as large_string arrays of at most _SLAB_ROWS rows."""
    for chunk in column.chunks:
        for start in range(0, len(chunk), _SLAB_ROWS):
            yield pc.cast(chunk.slice(start, _SLAB_ROWS), pa.large_string())


def _encoded_slabs(column: pa.ChunkedArray) -> Iterator[tuple[npt.NDArray[np.int32], pa.Array]]:
    """Per slab: the code of every row and the slab's distinct texts."""
    for slab in _slabs(column):
        encoded = slab.fill_null("").dictionary_encode()
        yield encoded.indices.to_numpy(), encoded.dictionary


def _buffers(array: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Offsets [n + 1] into the data bytes of a large_string array, whatever slice of its parent it is."""
    _, offsets, data = array.buffers()
    if offsets is None or not len(array):
        return np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.uint8)
    window = np.frombuffer(offsets, dtype=np.int64, count=len(array) + 1, offset=8 * array.offset)
    return window, np.zeros(0, dtype=np.uint8) if data is None else np.frombuffer(data, dtype=np.uint8)


def _map(path: Path, dtype: str, count: int) -> npt.NDArray[Any]:
    check_size(path, count * np.dtype(dtype).itemsize)
    if count == 0:  # an empty file cannot be mapped
        return np.zeros(0, dtype=dtype)
    return np.memmap(path, dtype=dtype, mode="r", shape=(count,))
