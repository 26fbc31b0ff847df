"""A text column read once: a hash of its content, and which of its texts are equal.

A text's bytes are hashed once, to 128 bits; the column's hash is that of its rows' digests, and texts are equal when
their digests are (16 bytes per text in memory instead of the text; 1 us each, where tokenising takes 20 us or more).
In: an Arrow string column of N rows, in memory or mapped. It is read slab by slab, so that only digests are held.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graphstorm_like.errors import DataError, must_be

Strings: TypeAlias = pa.ChunkedArray | pa.Array | Sequence[str | None]
# One pass holds a slab in memory: 262,144 rows of 1 kB are 256 MB.
_SLAB_ROWS = 1 << 18
_NULL = np.uint64(0xFFFFFFFFFFFFFFFF)


class TextColumn:
    """N texts. Null counts as the empty text wherever texts are compared, but not in the hash."""

    def __init__(self, texts: Strings) -> None:
        """Raises DataError for a column of another type."""
        self._column = as_text_column(texts)
        self._codes: list[npt.NDArray[np.int32]] = []
        self._digests: list[npt.NDArray[np.uint64]] = []
        content = blake2b(digest_size=20)
        for slab in _slabs(self._column):
            encoded = slab.fill_null("").dictionary_encode()
            codes, digests = encoded.indices.to_numpy(), _digests(encoded.dictionary)
            of_rows = digests[codes]
            if slab.null_count:
                of_rows[slab.is_null().to_numpy(zero_copy_only=False)] = _NULL
            content.update(of_rows.data)
            self._codes.append(codes)
            self._digests.append(digests)
        self.hash = content.hexdigest()
        """It does not depend on how the column is chunked, sliced or stored; null and '' differ."""

    def __len__(self) -> int:
        """Number of rows N."""
        return len(self._column)

    def distinct(self) -> tuple[int, Iterator[tuple[npt.NDArray[np.int64], pa.Array]]]:
        """(number of distinct texts, slabs). Per slab: the distinct text of every row int64 [n], numbered through the
        column by first appearance, and the texts that appear in it for the first time, in that order."""
        id_of_local, is_first = self._number()
        return int(is_first.sum()), self._distinct_slabs(id_of_local, is_first)

    def _distinct_slabs(
        self, id_of_local: npt.NDArray[np.int64], is_first: npt.NDArray[np.bool_]
    ) -> Iterator[tuple[npt.NDArray[np.int64], pa.Array]]:
        start = 0
        for slab, codes, digests in zip(_slabs(self._column), self._codes, self._digests, strict=True):
            stop = start + len(digests)
            # Arrow numbers the texts of a slab as they appear: a code above all before it is a new text.
            highest = np.maximum.accumulate(codes)
            first_rows = np.flatnonzero(np.diff(highest, prepend=-1))
            new_rows = first_rows[is_first[start:stop]]
            yield id_of_local[start:stop][codes], slab.take(pa.array(new_rows)).fill_null("")
            start = stop

    def _number(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """For every distinct text of every slab: its number in the column, and whether it appears there first."""
        pairs = np.concatenate([np.zeros((0, 2), dtype=np.uint64), *self._digests])
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


def as_text_column(texts: Strings) -> pa.ChunkedArray:
    """Any column of strings, or a list, as a chunked array; raises DataError for another type."""
    if isinstance(texts, pa.Array):
        texts = pa.chunked_array([texts])
    elif not isinstance(texts, pa.ChunkedArray):
        texts = pa.chunked_array([pa.array(texts, type=pa.large_string())])
    kind = texts.type.value_type if pa.types.is_dictionary(texts.type) else texts.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or str(kind) == "string_view"):
        raise DataError(must_be("text column", "type", "string", str(kind), "Cast the column to string first."))
    return texts


def text_sizes(texts: pa.Array) -> npt.NDArray[np.int64]:
    """int64 [n]: bytes of each text of a large_string array."""
    return np.diff(_buffers(texts)[0])


def _digests(distinct: pa.Array) -> npt.NDArray[np.uint64]:
    """[n, 2]: 128 bits of each text."""
    offsets, data = _buffers(distinct)
    view = data.data
    joined = b"".join(blake2b(view[a:b], digest_size=16).digest() for a, b in itertools.pairwise(offsets.tolist()))
    return np.frombuffer(joined, dtype=np.uint64).reshape(-1, 2)


def _slabs(column: pa.ChunkedArray) -> Iterator[Any]:
    """The column as large_string arrays of at most _SLAB_ROWS rows."""
    for chunk in column.chunks:
        for start in range(0, len(chunk), _SLAB_ROWS):
            yield pc.cast(chunk.slice(start, _SLAB_ROWS), pa.large_string())


def _buffers(array: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Offsets [n + 1] into the data bytes of a large_string array, whatever slice of its parent it is."""
    _, offsets, data = array.buffers()
    if offsets is None or not len(array):
        return np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.uint8)
    window = np.frombuffer(offsets, dtype=np.int64, count=len(array) + 1, offset=8 * array.offset)
    return window, np.zeros(0, dtype=np.uint8) if data is None else np.frombuffer(data, dtype=np.uint8)
