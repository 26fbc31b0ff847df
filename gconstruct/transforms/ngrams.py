"""n-grams of sequences of symbols: how many rows hold each, and how often rows hold those of a vocabulary.

The n-grams of a length are made of those that are shorter by one and a next symbol, as pairs of numbers; only
different ones get names.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.transforms.tokens import Sequences, ranges


@dataclass(frozen=True, slots=True)
class _Places:
    """Where n-grams of one length stand."""

    at: np.ndarray
    """int64 (k): the place of the first symbol"""
    sequence: np.ndarray
    """int64 (k)"""
    ids: np.ndarray
    """int64 (k): which n-gram it is"""

    def only(self, keep: np.ndarray) -> _Places:
        return _Places(self.at[keep], self.sequence[keep], self.ids[keep])


def rows_with(sequences: Sequences, shortest: int, longest: int) -> pa.Table:
    """name (large_string): each n-gram; count (int64): how many rows hold it."""
    places, names = _single(sequences), sequences.names
    tables = []
    for length in range(1, longest + 1):
        if length > 1:
            pairs = _with_next(places, sequences, length)
            distinct = pa.array(pairs.ids).dictionary_encode()
            shorter, following = np.divmod(distinct.dictionary.to_numpy(), sequences.base)
            parts = names.take(pa.array(shorter)), sequences.names.take(pa.array(following))
            names = pc.binary_join_element_wise(*parts, pa.scalar(sequences.between, pa.large_string()))
            places = replace(pairs, ids=distinct.indices.to_numpy().astype(np.int64))
        told = _that_count(places, sequences, length, shortest)
        counts = _distinct_rows(sequences.rows[told.sequence], told.ids, len(names))
        tables.append(pa.table({"name": names, "count": counts}).filter(pa.array(counts > 0)))
    return pa.concat_tables(tables)


def _single(sequences: Sequences) -> _Places:
    lengths = sequences.ends - sequences.starts
    at = ranges(sequences.starts, sequences.ends)
    return _Places(at, np.repeat(np.arange(len(lengths)), lengths), sequences.codes[at])


def _with_next(places: _Places, sequences: Sequences, length: int) -> _Places:
    """Those that a next symbol follows, to n-grams of this length; ids are pairs of the shorter one and the symbol."""
    longer = places.only(places.at + length <= sequences.ends[places.sequence])
    following = sequences.codes[longer.at + length - 1]
    return replace(longer, ids=longer.ids * sequences.base + following)


def _that_count(places: _Places, sequences: Sequences, length: int, shortest: int) -> _Places:
    """Those that are asked for, of all of a length."""
    if length >= shortest:
        return places
    sizes = sequences.ends - sequences.starts
    return places.only(sequences.keeps_short & (sizes[places.sequence] == length))


def _distinct_rows(rows: np.ndarray, ids: np.ndarray, count: int) -> np.ndarray:
    """int64 (count): in how many rows each id is."""
    cells = np.sort(rows * count + ids)
    first = np.diff(cells, prepend=-1) > 0
    return np.bincount(cells[first] % max(count, 1), minlength=count)


@dataclass(frozen=True, slots=True)
class _Step:
    """From n-grams with which terms begin to those that are longer by one."""

    pairs: pa.Array
    """int64: known pairs of a shorter one and a symbol; the longer ones are their positions here"""
    terms: np.ndarray
    """int64: the term that each longer one is, or -1"""


class Vocabulary:
    """Terms, which are found symbol by symbol. symbols: what each consists of, in the order of the terms."""

    def __init__(self, symbols: Sequences) -> None:
        self.size, self._names, self._base = len(symbols.starts), symbols.names, symbols.base
        lengths = symbols.ends - symbols.starts
        reached = np.zeros(self.size, np.int64)
        self._steps: list[_Step] = []
        for length in range(1, int(lengths.max(initial=0)) + 1):
            long_enough, ended = np.flatnonzero(lengths >= length), np.flatnonzero(lengths == length)
            following = symbols.codes[symbols.starts[long_enough] + length - 1]
            pairs, reached[long_enough] = np.unique(reached[long_enough] * self._base + following, return_inverse=True)
            terms = np.full(len(pairs), -1, np.int64)
            terms[reached[ended]] = ended
            self._steps.append(_Step(pa.array(pairs), terms))

    def cells(self, sequences: Sequences, shortest: int) -> np.ndarray:
        """int64: row * size + term, ascending, as often as the row holds the term."""
        place = pc.index_in(sequences.names, value_set=self._names)
        codes = pc.fill_null(place, self._base - 1).to_numpy().astype(np.int64)[sequences.codes]
        known = replace(sequences, names=self._names, codes=codes)
        places, found = _single(known), [np.empty(0, np.int64)]
        for length, step in enumerate(self._steps, start=1):
            pairs = places if length == 1 else _with_next(places, known, length)
            node = pc.fill_null(pc.index_in(pa.array(pairs.ids), value_set=step.pairs), -1).to_numpy()
            begun = np.flatnonzero(node >= 0)
            places = replace(pairs.only(begun), ids=node[begun].astype(np.int64))
            told = _that_count(places, known, length, shortest)
            terms = step.terms[told.ids]
            is_term = terms >= 0
            found.append(known.rows[told.sequence[is_term]] * self.size + terms[is_term])
        return np.sort(np.concatenate(found))
