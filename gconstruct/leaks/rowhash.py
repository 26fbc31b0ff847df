"""64-bit hashes of whole rows: of several columns of numbers, lists of numbers and texts."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.hashing import hash_strings
from graphstorm_like.graph.sparse import is_sparse, rows_of

_LONG_TEXT = 4096
"""Bytes"""
_CACHED_BYTES = 1 << 18
_ODD = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)


def row_hashes(columns: Iterable[pa.Array], count: int) -> np.ndarray:
    """uint64 (count): equal for rows that are equal in all columns."""
    hashes = np.full(count, _ODD, np.uint64)
    for column in columns:
        hashes = _mixed(hashes ^ _column_hashes(column))
    return hashes


def _column_hashes(column: pa.Array) -> np.ndarray:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return _text_hashes(column)
    if is_sparse(column.type):
        return _entry_hashes(column)
    if pa.types.is_fixed_size_list(column.type):
        values = column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), column.type.list_size)
    else:
        values = column.to_numpy(zero_copy_only=False).reshape(-1, 1)
    return _byte_hashes(np.ascontiguousarray(values))


def _text_hashes(column: pa.Array) -> np.ndarray:
    """uint64 (n). Long texts one by one: hash_strings takes a step for every 8 bytes of the longest one."""
    is_long = pc.fill_null(pc.greater(pc.binary_length(column), _LONG_TEXT), False)
    if not pc.any(is_long, min_count=0).as_py():
        return hash_strings(column)
    hashes = hash_strings(pc.if_else(is_long, pa.scalar("", column.type), column))
    for row in np.flatnonzero(is_long.to_numpy(zero_copy_only=False)):
        digest = blake2b(column[int(row)].as_buffer(), digest_size=8).digest()
        hashes[row] = int.from_bytes(digest, "little")
    return hashes


def _entry_hashes(column: pa.Array) -> np.ndarray:
    """uint64 (n) of the entries of each row of a sparse feature."""
    rows = rows_of(column, 0)
    values = rows.values.astype(np.float32).view(np.uint32).astype(np.uint64)
    sums = np.zeros(len(rows.indices) + 1, np.uint64)
    np.cumsum(_mixed(values << np.uint64(32) | rows.indices.astype(np.uint64)), out=sums[1:])
    return _mixed(sums[rows.offsets[1:]] - sums[rows.offsets[:-1]])


def _byte_hashes(values: np.ndarray) -> np.ndarray:
    """uint64 (n) of the bytes of each row; some rows at a time, so that all stays in the CPU's cache."""
    width = values.shape[1] * values.itemsize
    as_bytes = values.view(np.uint8).reshape(len(values), width)
    hashes, rows = np.empty(len(values), np.uint64), max(1, _CACHED_BYTES // max(width, 1))
    for start in range(0, len(values), rows):
        hashes[start : start + rows] = _block_hashes(as_bytes[start : start + rows])
    return hashes


def _block_hashes(as_bytes: np.ndarray) -> np.ndarray:
    """Words of 8 bytes, weighted by odd numbers and mixed."""
    missing = -as_bytes.shape[1] % 8
    if missing:
        as_bytes = np.pad(as_bytes, ((0, 0), (0, missing)))
    words = np.ascontiguousarray(as_bytes).view(np.uint64)
    weights = _mixed(np.arange(1, words.shape[1] + 1, dtype=np.uint64)) | np.uint64(1)
    mixed = _mixed(words)
    mixed *= weights
    return _mixed(mixed.sum(axis=1, dtype=np.uint64))


def _mixed(values: np.ndarray) -> np.ndarray:
    """splitmix64, see gconstruct.hashing."""
    mixed: np.ndarray = values + _ODD
    mixed ^= mixed >> np.uint64(30)
    mixed *= _MIX
    mixed ^= mixed >> np.uint64(27)
    return mixed
