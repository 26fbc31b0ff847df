"""What one_hot and multi_hot share: a column of ones for each of the most frequent categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.transforms.base import Transform
from gconstruct.values import Source
from graphstorm_like.config.features.multi_hot import MultiHotFeature
from graphstorm_like.config.features.one_hot import OneHotFeature

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


@dataclass(frozen=True, slots=True)
class Frequencies:
    """How often each category occurs."""

    rows: int
    table: pa.Table
    """name: large_string, count: int64"""


class CategoryTransform(Transform[Config, Categories, Frequencies]):
    """Base of one_hot and multi_hot, which differ in how a column is read."""

    def fit(self, values: Categories) -> Frequencies:
        """Count the categories."""
        counts = np.bincount(values.codes, minlength=len(values.names))
        return Frequencies(values.count, pa.table({"name": values.names, "count": counts}))

    def merge(self, first: Frequencies, second: Frequencies) -> Frequencies:
        """Sums of the counts."""
        counts = pa.concat_tables([first.table, second.table]).group_by("name").aggregate([("count", "sum")])
        return Frequencies(first.rows + second.rows, counts.rename_columns({"count_sum": "count"}))

    def state(self, statistics: Frequencies, source: Source) -> dict[str, Any] | None:
        """The most frequent categories (ties by name), and whether others share a last column."""
        table, keep = statistics.table, self.config.max_categories
        if not len(table) and statistics.rows:
            rule_break = f"(got {statistics.rows:,} rows without)"
            source.refuse_all(f"must have at least one category {rule_break}", f"Leave out {source.key}")
            return None
        ranked = pc.sort_indices(table, sort_keys=[("count", "descending"), ("name", "ascending")])
        names = table.column("name").take(ranked[:keep]).to_pylist()
        return {"categories": names, "other": OTHER if len(table) > keep else None}

    def apply(self, values: Categories, state: dict[str, Any], source: Source) -> np.ndarray:
        """A category that is not kept goes to the column for others, if there is one, else to none."""
        categories, has_other = pa.array(state["categories"], pa.large_string()), state["other"] is not None
        out = np.zeros((values.count, max(1, len(categories) + has_other)), np.float32)
        place = pc.index_in(values.names, value_set=categories)
        columns = pc.fill_null(place, len(categories) if has_other else -1).to_numpy(zero_copy_only=False)[values.codes]
        has_column = columns >= 0
        out[values.rows[has_column], columns[has_column]] = 1.0
        return out
