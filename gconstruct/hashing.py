"""64-bit hashes of ids, for splits that depend only on the id and a seed.

In: an Arrow array or chunked array of strings or integers (n); out: numpy uint64 (n). A string is read as
little-endian 8-byte words, padded with zero bytes, each mixed in with splitmix64's finalizer (Steele, Lea & Flood
2014, https://doi.org/10.1145/2660193.2660195). Equal strings hash equal whatever their chunk, offset or Arrow type,
and an integer hashes like its decimal string: an engine that reads ids as text draws the same splits.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

HASH_VERSION = 1

_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_MASK = (1 << 64) - 1
_BLOCK_ROWS = 1 << 16  # the state of a block (0.5 MB) stays in the cache: 2x as fast as whole columns


def hash_strings(array: pa.Array | pa.ChunkedArray, seed: int = 0) -> np.ndarray:
    """uint64 hash of each value (n). A null hashes to one value of its own."""
    chunks = array.chunks if isinstance(array, pa.ChunkedArray) else [array]
    if not chunks:
        return np.empty(0, np.uint64)
    return np.concatenate([_hash_chunk(chunk, seed) for chunk in chunks])


def uniform(array: pa.Array | pa.ChunkedArray, seed: int = 0) -> np.ndarray:
    """float64 in [0, 1) from each value's hash (n): its upper 53 bits."""
    draws: np.ndarray = (hash_strings(array, seed) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return draws


def _hash_chunk(chunk: pa.Array, seed: int) -> np.ndarray:
    if pa.types.is_dictionary(chunk.type):
        return _hash_dictionary(chunk, seed)
    strings = chunk if pa.types.is_large_string(chunk.type) else pc.cast(chunk, pa.large_string())
    length = len(strings)
    _, offset_buffer, data_buffer = strings.buffers()
    if length == 0 or offset_buffer is None:
        return np.empty(length, np.uint64)
    offsets = np.frombuffer(offset_buffer, np.int64)[strings.offset : strings.offset + length + 1]
    words = _words(data_buffer, int(offsets[0]), int(offsets[-1]))
    starts = offsets - offsets[0]
    start_state = _mix_int((seed + _GOLDEN) & _MASK)
    out = np.empty(length, np.uint64)
    for at in range(0, length, _BLOCK_ROWS):
        block = starts[at : at + _BLOCK_ROWS + 1]
        out[at : at + _BLOCK_ROWS] = _hash_block(words, block, start_state)
    if strings.null_count:
        out[pc.is_null(strings).to_numpy(zero_copy_only=False)] = _mix_int(start_state ^ _MASK)
    return out


def _hash_dictionary(chunk: pa.DictionaryArray, seed: int) -> np.ndarray:
    """Hash each category once; every row gets the hash of its category."""
    categories = pa.array(_hash_chunk(chunk.dictionary, seed))
    null = _mix_int(_mix_int((seed + _GOLDEN) & _MASK) ^ _MASK)
    hashes: np.ndarray = pc.fill_null(categories.take(chunk.indices), null).to_numpy(zero_copy_only=False)
    return hashes


def _words(data: pa.Buffer | None, first: int, last: int) -> np.ndarray:
    """A view whose item i is the 8 bytes that start at byte i, with zeros after the end."""
    padded = np.zeros(last - first + 8, np.uint8)
    if data is not None:
        padded[: last - first] = np.frombuffer(data, np.uint8)[first:last]
    return np.ndarray((last - first + 1,), np.dtype("<u8"), buffer=padded, strides=(1,))


def _hash_block(words: np.ndarray, starts: np.ndarray, start_state: int) -> np.ndarray:
    at, remaining = starts[:-1], np.diff(starts)
    state = mix(np.uint64(start_state) ^ (remaining.astype(np.uint64) * np.uint64(_GOLDEN)))
    for _ in range(int(remaining.min()) // 8):  # whole words that all rows have
        state = mix(state ^ words[at])
        at, remaining = at + 8, remaining - 8
    active = np.flatnonzero(remaining > 0)
    at, remaining = at[active], remaining[active]
    while active.size:  # once per 8 bytes of the longest string, over those that are long enough
        unused_bits = (8 * np.maximum(8 - remaining, 0)).astype(np.uint64)
        word = words[at] & (np.uint64(_MASK) >> unused_bits)
        state[active] = mix(state[active] ^ word)
        more = remaining > 8
        active, at, remaining = active[more], at[more] + 8, remaining[more] - 8
    return state


def mix(z: np.ndarray) -> np.ndarray:
    """splitmix64's finalizer with its increment: a bijection of 64 bits in which one changed bit changes about half."""
    mixed: np.ndarray = z + np.uint64(_GOLDEN)
    shifted = mixed >> np.uint64(30)
    mixed ^= shifted
    mixed *= _MIX_1
    np.right_shift(mixed, np.uint64(27), out=shifted)
    mixed ^= shifted
    mixed *= _MIX_2
    np.right_shift(mixed, np.uint64(31), out=shifted)
    mixed ^= shifted
    return mixed


def _mix_int(z: int) -> int:
    """`_mix` of one Python integer."""
    return int(mix(np.array([z], np.uint64))[0])
