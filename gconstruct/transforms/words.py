"""Words of texts, or n-grams of their characters, weighed by TF-IDF."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.transforms.base import TRANSFORMS, EntryTransform
from gconstruct.transforms.ngrams import Vocabulary, rows_with
from gconstruct.transforms.tokens import Sequences, characters_of, symbols_of, words_of
from gconstruct.values import Source
from graphstorm_like.config.features.words import WordsFeature
from graphstorm_like.graph.sparse import SparseRows, of_cells

MOST_TERMS = 20_000_000
"""Different terms that are counted at most. One takes about 30 bytes, and 100 while counts are added up: 2 GB."""
_BLOCK_BYTES = 1 << 21
"""Of texts that are worked on at once: some 50 bytes a character."""


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of n rows."""

    columns: tuple[pa.Array, ...]
    """large_string (n)"""

    def __len__(self) -> int:
        return len(self.columns[0])

    def blocks(self) -> Iterator[tuple[int, Texts]]:
        """(first row, some rows) of about _BLOCK_BYTES."""
        sizes = np.zeros(len(self), np.int64)
        for column in self.columns:
            sizes += pc.fill_null(pc.binary_length(column), 0).to_numpy(zero_copy_only=False)
        block = np.cumsum(sizes) // _BLOCK_BYTES
        bounds = [*np.flatnonzero(np.diff(block, prepend=-1)).tolist(), len(self)]
        for first, end in itertools.pairwise(bounds):
            yield first, Texts(tuple(column.slice(first, end - first) for column in self.columns))

    def sequences(self, config: WordsFeature) -> Sequences:
        """Symbols of all columns."""
        whole = pa.concat_arrays([pc.fill_null(column, "") for column in self.columns])
        rows = np.tile(np.arange(len(self)), len(self.columns))
        if config.lowercase:
            whole = pc.utf8_lower(whole)
        return words_of(whole, rows) if config.of == "words" else characters_of(whole, rows)


@dataclass(frozen=True, slots=True)
class RowsOfTerms:
    """How many of some rows hold each term."""

    rows: int
    texts: int
    """Rows that hold any word"""
    tables: tuple[pa.Table, ...] = ()
    """name: large_string, count: int64; to be added up"""
    is_full: bool = False
    """Whether there are more than MOST_TERMS, which are not counted any more"""

    def merged(self, other: RowsOfTerms) -> RowsOfTerms:
        """Those of the rows of both. Tables are added up when they have grown to twice the first: each count moves
        only as often as the terms double."""
        rows, texts, is_full = self.rows + other.rows, self.texts + other.texts, self.is_full or other.is_full
        both = RowsOfTerms(rows, texts, () if is_full else self.tables + other.tables, is_full)
        if not both.tables:
            return both
        first, *others = both.tables
        return both.added_up() if sum(map(len, others)) >= len(first) else both

    def added_up(self) -> RowsOfTerms:
        """One table, if not too long."""
        if self.is_full:
            return self
        table = pa.concat_tables([_NO_TERMS, *self.tables])
        if len(self.tables) > 1:  # four times as fast as group_by
            named = table.column("name").dictionary_encode().combine_chunks()
            counts = np.bincount(named.indices.to_numpy(), table.column("count").to_numpy(), len(named.dictionary))
            table = pa.table({"name": named.dictionary, "count": counts.astype(np.int64)})
        is_full = len(table) > MOST_TERMS
        return replace(self, tables=() if is_full else (table,), is_full=is_full)


_NO_TERMS = pa.table({"name": pa.array([], pa.large_string()), "count": pa.array([], pa.int64())})


@TRANSFORMS.register(WordsFeature)
class WordsTransform(EntryTransform[WordsFeature, Texts, RowsOfTerms]):
    """Terms are counted exactly, in blocks of texts; the state is those that are kept and their numbers of rows."""

    use = "text"

    def read(self, source: Source) -> Texts:
        """Numbers and dates are texts by their written form."""
        return Texts(tuple(pc.cast(column.values, pa.large_string()) for column in source.columns()))

    def fit(self, values: Texts) -> RowsOfTerms:
        """Count the rows of each term."""
        counted = RowsOfTerms(0, 0)
        for _, block in values.blocks():
            sequences = block.sequences(self.config)
            texts = len(np.unique(sequences.rows[sequences.ends > sequences.starts]))
            table = rows_with(sequences, *self.config.lengths)
            counted = counted.merged(RowsOfTerms(len(block), texts, (table,)))
        return counted.added_up()

    def merge(self, first: RowsOfTerms, second: RowsOfTerms) -> RowsOfTerms:
        """Sums of the counts."""
        return first.merged(second)

    def state(self, statistics: RowsOfTerms, source: Source) -> dict[str, Any] | None:
        """The terms that most rows hold, ties by name."""
        config, counted = self.config, statistics.added_up()
        if counted.is_full:
            rule = f"must hold at most {MOST_TERMS:,} different terms (got more)"
            source.refuse_all(rule, f"Shorten {source.key}.ngrams, or use encode: hashing with a separator")
            return None
        [table] = counted.tables
        count = table.column("count")
        enough = pc.greater_equal(count, config.min_rows)
        kept = table.filter(pc.and_(enough, pc.less_equal(count, config.max_share * counted.rows)))
        if not len(kept) and counted.rows:
            limits = f"{config.min_rows:,} rows or more and at most a share of {config.max_share:g} of them"
            rule = f"must have at least one term that {limits} hold (got {len(table):,} terms in {counted.rows:,} rows)"
            source.refuse_all(rule, f"Change min_rows or max_share, or leave out {source.key}")
            return None
        most = _most(kept, config.max_words)
        return {
            "terms": most.column("name").to_pylist(),
            "rows_of_terms": most.column("count").to_pylist(),
            "rows": counted.rows,
            "texts": counted.texts,
        }

    def entries(self, values: Texts, state: dict[str, Any], source: Source) -> SparseRows:
        """(n, terms): rows of length 1, or without entries."""
        terms = pa.array(state["terms"], pa.large_string())
        width = max(1, len(terms))
        vocabulary = Vocabulary(symbols_of(terms, self.config.of == "words"))
        found = [np.empty(0, np.int64)]
        for first, block in values.blocks():
            cells = vocabulary.cells(block.sequences(self.config), self.config.lengths[0])
            found.append(cells + first * width)
        cells = np.concatenate(found)
        starts = np.flatnonzero(np.diff(cells, prepend=-1))
        distinct, often = cells[starts], np.diff(starts, append=len(cells))
        idf = np.log(1 + state["rows"]) - _logs(1 + np.array(state["rows_of_terms"], np.int64)) + 1
        rows, columns = np.divmod(distinct, width)
        weights = (1 + _logs(often)) * idf[columns]
        length = np.sqrt(np.bincount(rows, weights**2, len(values)))
        return of_cells(distinct, (weights / length[rows]).astype(np.float32), (len(values), width))


def _most(table: pa.Table, keep: int) -> pa.Table:
    """The rows with the largest counts, in that order; ties by name."""
    if len(table) > keep:  # most need not be sorted by their names
        last = np.partition(table.column("count").to_numpy(), len(table) - keep)[len(table) - keep]
        table = table.filter(pc.greater_equal(table.column("count"), last))
    ranked = pc.sort_indices(table, sort_keys=[("count", "descending"), ("name", "ascending")])
    return table.take(ranked[:keep])


def _logs(numbers: np.ndarray) -> np.ndarray:
    """float64 natural logarithms; equal ones for equal numbers wherever they stand, which np.log does not promise."""
    distinct = np.flatnonzero(np.bincount(numbers))
    table = np.zeros(int(distinct.max(initial=0)) + 1)
    table[distinct] = [math.log(number) for number in distinct.tolist()]
    logs: np.ndarray = table[numbers]
    return logs
