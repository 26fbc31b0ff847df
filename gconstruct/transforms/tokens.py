"""Texts -> sequences of symbols, of which n-grams are made: words, or characters.

A block of texts becomes one array of code points, in which runs are found at once: no loop over texts or words.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_BLANK, _PLUS, _SHARP = (ord(sign) for sign in " +#")


@dataclass(frozen=True, slots=True)
class Sequences:
    """Symbols in sequences: the places from starts[i] until ends[i] are sequence i, of row rows[i]."""

    names: pa.Array
    """large_string: the distinct symbols"""
    codes: np.ndarray
    """int64: at each place a position in `names`"""
    starts: np.ndarray
    """int64; sequences may overlap"""
    ends: np.ndarray
    rows: np.ndarray
    between: str
    """What stands between the symbols of an n-gram"""
    keeps_short: bool
    """Whether a sequence that is shorter than the shortest n-gram counts as one"""

    @property
    def base(self) -> int:
        """More than any code, also than that of a symbol without a name"""
        return len(self.names) + 1


def words_of(texts: pa.Array, rows: np.ndarray) -> Sequences:
    """Runs of letters, marks, digits and `_`, and the `+` and `#` that end one: a sequence per text.

    As the regular expression `\\w+([+#]+(?![\\w+#]))?` if Unicode's marks were in `\\w`, as in many scripts' words.
    texts: large_string (n) without nulls, of these rows.
    """
    points, ends_of_texts = _points(texts)
    inside = _of_class(points, _is_of_word)
    starts, ends = _runs((points == _PLUS) | (points == _SHARP))
    end_word = inside[starts - 1] & ~inside[ends]
    inside[ranges(starts[end_word], ends[end_word])] = True
    starts, ends = _runs(inside)
    encoded = _strings(points[inside], ends - starts).dictionary_encode()
    codes = encoded.indices.to_numpy().astype(np.int64)
    last = np.searchsorted(starts, ends_of_texts)
    first = np.concatenate([np.zeros(1, np.int64), last[:-1]])
    return Sequences(encoded.dictionary, codes, first, last, rows, " ", keeps_short=False)


def characters_of(texts: pa.Array, rows: np.ndarray) -> Sequences:
    """Characters: a sequence for each part between blanks, with a blank before and after it."""
    points, ends_of_texts = _points(texts)
    is_blank = _of_class(points, str.isspace)
    points[is_blank] = _BLANK
    starts, ends = _runs(~is_blank)
    of_text = np.searchsorted(ends_of_texts, starts, side="right")
    names, codes = _coded(points)
    return Sequences(names, codes, starts - 1, ends + 1, rows[of_text], "", keeps_short=True)


def symbols_of(terms: pa.Array, of_words: bool) -> Sequences:
    """What n-grams that were named consist of: a sequence for each."""
    rows = np.arange(len(terms))
    if of_words:
        lists = pc.split_pattern(terms, pattern=" ")
        encoded, bounds = lists.flatten().dictionary_encode(), lists.offsets.to_numpy().astype(np.int64)
        names, codes = encoded.dictionary, encoded.indices.to_numpy().astype(np.int64)
        return Sequences(names, codes, bounds[:-1], bounds[1:], rows, " ", keeps_short=False)
    points, ends = _points(terms)
    names, codes = _coded(points)
    starts = np.concatenate([np.ones(1, np.int64), ends])[: len(terms)]
    return Sequences(names, codes, starts, ends - 1, rows, "", keeps_short=True)


def ranges(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The whole numbers from each start until its end, one range after another."""
    lengths = ends - starts
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))


def _points(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """uint32 code points, with a line's end before the first text and after each, so that nothing goes from one into
    the next; int64 (n): where each text's line ends."""
    lines = pc.binary_join_element_wise(texts, pa.scalar("", pa.large_string()), pa.scalar("\n", pa.large_string()))
    if not len(lines):
        return np.array([ord("\n")], np.uint32), np.empty(0, np.int64)
    offsets = np.frombuffer(lines.buffers()[1], np.int64)[lines.offset : lines.offset + len(lines) + 1]
    text = bytes(memoryview(lines.buffers()[2])[offsets[0] : offsets[-1]]).decode("utf-8")
    points = np.frombuffer(f"\n{text}".encode("utf-32-le"), np.uint32).copy()
    return points, 1 + np.cumsum(pc.utf8_length(lines).to_numpy().astype(np.int64))


def _coded(points: np.ndarray) -> tuple[pa.Array, np.ndarray]:
    """The different ones as strings, and the position there of each."""
    distinct = np.flatnonzero(np.bincount(points))
    code = np.zeros(int(distinct[-1]) + 1, np.int64)
    code[distinct] = np.arange(len(distinct))
    return _strings(distinct.astype(np.uint32), np.ones(len(distinct), np.int64)), code[points]


def _strings(points: np.ndarray, lengths: np.ndarray) -> pa.Array:
    """large_string: the next so many code points each."""
    sizes = np.ones(len(points), np.int64)
    for limit in (0x80, 0x800, 0x10000):
        sizes += points >= limit
    ends_of_points = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    offsets = ends_of_points[np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])]
    data = points.astype("<u4").tobytes().decode("utf-32-le").encode("utf-8")
    return pa.LargeStringArray.from_buffers(len(lengths), pa.py_buffer(offsets), pa.py_buffer(data))


def _of_class(points: np.ndarray, belongs: Callable[[str], bool]) -> np.ndarray:
    """bool: which code points belong, asked once of each different one."""
    distinct = np.flatnonzero(np.bincount(points))
    table = np.zeros(int(distinct[-1]) + 1, bool)
    table[distinct] = [belongs(chr(point)) for point in distinct.tolist()]
    found: np.ndarray = table[points]
    return found


def _is_of_word(character: str) -> bool:
    return character == "_" or unicodedata.category(character)[0] in "LMN"


def _runs(flags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int64: where runs of True start, and the places after their ends. The first and last flag must be False."""
    changes = np.flatnonzero(flags[1:] != flags[:-1]) + 1
    return changes[::2], changes[1::2]
