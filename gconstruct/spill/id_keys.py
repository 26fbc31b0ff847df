"""Ids -> keys of a few 64-bit words: equal keys are equal ids, so that a hash table compares words and no strings.

A string's key is its bytes, a byte 1 behind them, and zeros. Longer strings than LONGEST have a key that is a hash; the
strings themselves decide whether two of them are equal. An integer is its own key.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.hashing import hash_strings

_MOST_WORDS = 4
LONGEST = 8 * _MOST_WORDS - 1
"""Bytes of a string that is its own key"""
_HASHED = np.uint64(0xFF << 56)
"""Last word of a hashed key. Other keys end with a byte 0 or 1."""

# Of a word with `bytes` bytes of a string, from -1 (the string ended before its last word) to 8 (all of them).
_OWN_BYTES = np.array([0, *((1 << 8 * size) - 1 for size in range(9))], np.uint64)
_END = np.array([0, *(1 << 8 * size for size in range(8)), 0], np.uint64)

_FACTORS = [np.uint64(f) for f in (0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F, 0xE7037ED1A0B428DB)]
_FACTOR = np.uint64(0xBF58476D1CE4E5B9)


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys of some ids (n)."""

    ids: pa.Array
    words: list[np.ndarray]
    """uint64 (n), 1 to 4 of them; those that are not there are 0"""
    is_long: np.ndarray | None
    """bool (n): whose keys are hashes; None: no one's"""

    def __len__(self) -> int:
        return len(self.ids)

    def hashes(self) -> np.ndarray:
        """uint64 (n)"""
        return hash_words(self.words)


def keys_of(ids: pa.Array) -> Keys:
    """ids: int64 or large_string (n, no nulls)"""
    if pa.types.is_integer(ids.type):
        return Keys(ids, [ids.to_numpy().astype(np.int64, copy=False).view(np.uint64)], None)
    if not len(ids):
        return Keys(ids, [np.empty(0, np.uint64)], None)
    _, offset_buffer, data = ids.buffers()
    offsets = np.frombuffer(offset_buffer, np.int64)[ids.offset : ids.offset + len(ids) + 1]
    lengths = np.diff(offsets)
    longest, shortest = int(lengths.max()), int(lengths.min())
    count = min(longest // 8 + 1, _MOST_WORDS)
    starts, text = offsets[:-1] - offsets[0], _words_at(data, int(offsets[0]), int(offsets[-1]), count)
    words = []
    for number in range(count):
        # Of a string that has ended the bytes of later ones are read, and masked.
        word = text[starts + 8 * number]
        if shortest < 8 * (number + 1):
            size = np.clip(lengths - (8 * number - 1), 0, 9)
            word &= _OWN_BYTES.take(size)
            word |= _END.take(size)
        words.append(word)
    if longest <= LONGEST:
        return Keys(ids, words, None)
    is_long: np.ndarray = lengths > LONGEST
    key = (hash_strings(ids.filter(pa.array(is_long))), lengths[is_long].astype(np.uint64), np.uint64(0), _HASHED)
    for word, value in zip(words, key, strict=True):
        word[is_long] = value
    return Keys(ids, words, is_long)


def hash_words(words: list[np.ndarray]) -> np.ndarray:
    """uint64 (n) of keys, the same with words 0 after them. Of one word it is a bijection."""
    hashes = np.zeros(len(words[0]), np.uint64)
    for word, factor in zip(words, _FACTORS, strict=False):
        mixed = word * factor
        mixed ^= mixed >> np.uint64(32)
        mixed *= _FACTOR
        hashes += mixed
    hashes ^= hashes >> np.uint64(29)
    return hashes


def is_hashed(words: np.ndarray) -> np.ndarray:
    """bool (n): which keys (n, width) are hashes."""
    hashed: np.ndarray = words[:, _MOST_WORDS - 1] == _HASHED if words.shape[1] == _MOST_WORDS else _none(len(words))
    return hashed


def strings_of(words: np.ndarray, long: pa.Array) -> pa.Array:
    """The strings of keys (n, width). long: those whose keys are hashes, in the order of the rows."""
    hashed = is_hashed(words)
    as_bytes = np.ascontiguousarray(words).astype("<u8", copy=False).view(np.uint8).reshape(len(words), -1)
    lengths = as_bytes.shape[1] - 1 - np.argmax(as_bytes[:, ::-1] != 0, axis=1)
    lengths[hashed] = 0
    own = as_bytes[np.arange(as_bytes.shape[1]) < lengths[:, None]]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    short = pa.Array.from_buffers(pa.large_string(), len(words), [None, pa.py_buffer(offsets), pa.py_buffer(own)])
    return pc.replace_with_mask(short, pa.array(hashed), long) if len(long) else short


def _none(count: int) -> np.ndarray:
    return np.zeros(count, bool)


def _words_at(data: pa.Buffer | None, first: int, last: int, count: int) -> np.ndarray:
    """A view whose item i is the 8 bytes that start at byte i, with zeros after the end. count: of words of a string"""
    padded = np.zeros(last - first + 8 * count, np.uint8)
    if data is not None:
        padded[: last - first] = np.frombuffer(data, np.uint8)[first:last]
    return np.ndarray((len(padded) - 7,), np.dtype("<u8"), buffer=padded, strides=(1,))
