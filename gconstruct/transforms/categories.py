"""Categories of rows and how often they occur; and what one_hot and multi_hot share: a column of ones for each of the
most frequent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.transforms.base import EntryTransform
from gconstruct.values import Source
from graphstorm_like.config.features.multi_hot import MultiHotFeature
from graphstorm_like.config.features.one_hot import OneHotFeature
from graphstorm_like.graph.sparse import SparseRows, distinct_cells, of_cells

OTHER = "<other>"
"""The column that rarer categories share."""
Config = TypeVar("Config", OneHotFeature, MultiHotFeature)


@dataclass(frozen=True, slots=True)
class Categories:
    """The categories of n rows."""

    count: int
    """n"""
    names: pa.Array
    """large_string: distinct names"""
    codes: np.ndarray
    """int (k): positions in `names`"""
    rows: np.ndarray
    """int (k): the row of each of them"""

    @classmethod
    def of(cls, count: int, strings: pa.Array, rows: np.ndarray | None = None) -> Categories:
        """From large_strings. rows: the row of each string; None: string i is of row i. Nulls are left out."""
        encoded = strings.dictionary_encode()
        codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
        present = np.flatnonzero(codes >= 0)
        return cls(count, encoded.dictionary, codes[present], present if rows is None else rows[present])

    @classmethod
    def of_lists(cls, column: pa.Array, separator: str | None) -> Categories:
        """From lists, or strings to be split at the separator; blanks around categories and empty ones are left out."""
        if separator is not None:
            column = pc.split_pattern(pc.cast(column, pa.large_string()), pattern=separator)
        if pa.types.is_null(column.type):
            return cls.of(len(column), pa.array([], pa.large_string()), np.empty(0, np.int64))
        rows = pc.list_parent_indices(column).to_numpy(zero_copy_only=False)
        strings = pc.utf8_trim_whitespace(pc.cast(column.flatten(), pa.large_string()))
        not_empty = pc.fill_null(pc.not_equal(strings, ""), False)
        return cls.of(len(column), strings.filter(not_empty), rows[not_empty.to_numpy(zero_copy_only=False)])

    def counted(self) -> Frequencies:
        """How often each occurs."""
        counts = np.bincount(self.codes, minlength=len(self.names))
        return Frequencies(self.count, pa.table({"name": self.names, "count": counts}))


@dataclass(frozen=True, slots=True)
class Frequencies:
    """How often each category occurs."""

    rows: int
    table: pa.Table
    """name: large_string, count: int64"""

    def merged(self, other: Frequencies) -> Frequencies:
        """Sums of the counts."""
        counts = pa.concat_tables([self.table, other.table]).group_by("name").aggregate([("count", "sum")])
        return Frequencies(self.rows + other.rows, counts.rename_columns({"count_sum": "count"}))

    def most_frequent(self, keep: int) -> pa.Table:
        """The rows of the `keep` most frequent, in that order; ties by name."""
        ranked = pc.sort_indices(self.table, sort_keys=[("count", "descending"), ("name", "ascending")])
        return self.table.take(ranked[:keep])


class CategoryTransform(EntryTransform[Config, Categories, Frequencies]):
    """Base of one_hot and multi_hot, which differ in how a column is read."""

    def fit(self, values: Categories) -> Frequencies:
        """Count the categories."""
        return values.counted()

    def merge(self, first: Frequencies, second: Frequencies) -> Frequencies:
        """Sums of the counts."""
        return first.merged(second)

    def state(self, statistics: Frequencies, source: Source) -> dict[str, Any] | None:
        """The most frequent categories (ties by name), and whether others share a last column."""
        table, keep = statistics.table, self.config.max_categories
        if not len(table) and statistics.rows:
            rule_break = f"(got {statistics.rows:,} rows without)"
            source.refuse_all(f"must have at least one category {rule_break}", f"Leave out {source.key}")
            return None
        names = statistics.most_frequent(keep).column("name").to_pylist()
        return {"categories": names, "other": OTHER if len(table) > keep else None}

    def entries(self, values: Categories, state: dict[str, Any], source: Source) -> SparseRows:
        """A category that is not kept goes to the column for others, if there is one, else to none."""
        categories, has_other = pa.array(state["categories"], pa.large_string()), state["other"] is not None
        width = max(1, len(categories) + has_other)
        place = pc.index_in(values.names, value_set=categories)
        columns = pc.fill_null(place, len(categories) if has_other else -1).to_numpy(zero_copy_only=False)[values.codes]
        has_column = columns >= 0
        cells = distinct_cells(values.rows[has_column] * width + columns[has_column])
        return of_cells(cells, np.ones(len(cells), np.float32), (values.count, width))
