"""Categories of any vocabulary -> ones in the columns that their hashes pick (Weinberger et al. 2009,
https://arxiv.org/abs/0902.2206)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.hashing import hash_strings
from gconstruct.kinds import kind_of
from gconstruct.transforms.base import TRANSFORMS, EntryTransform
from gconstruct.transforms.categories import Categories
from gconstruct.values import Source
from graphstorm_like.config.features.hashing import HashingFeature
from graphstorm_like.graph.sparse import SparseRows, of_cells

_MOST_HASHES = 16


@TRANSFORMS.register(HashingFeature)
class HashingTransform(EntryTransform[HashingFeature, Categories, int]):
    """Nothing is fitted: statistics are the number of rows, and nothing is kept."""

    def __init__(self, config: HashingFeature) -> None:
        super().__init__(config)
        self.use = "categories" if config.separator is None else "separated"

    def read(self, source: Source) -> Categories:
        """Integers and booleans are categories by their written form."""
        if self.config.separator is not None or kind_of(source.values.type).startswith("list of "):
            return Categories.of_lists(source.values, self.config.separator)
        return Categories.of(len(source), pc.cast(source.values, pa.large_string()))

    def fit(self, values: Categories) -> int:
        """See class."""
        return values.count

    def merge(self, first: int, second: int) -> int:
        """See class."""
        return first + second

    def state(self, statistics: int, source: Source) -> dict[str, Any]:
        """See class."""
        return {}

    def entries(self, values: Categories, state: dict[str, Any], source: Source) -> SparseRows:
        """(n, buckets): the sum over a row's different categories and their hashes."""
        config = self.config
        rows, codes = values.rows, values.codes
        if (np.diff(rows) == 0).any():  # a category that a list repeats counts once
            rows, codes = np.divmod(np.unique(rows * len(values.names) + codes), len(values.names))
        cells, signs = [np.empty(0, np.int64)], [np.empty(0)]
        for number in range(config.hashes):
            hashes = hash_strings(values.names, config.salt * _MOST_HASHES + number)
            columns = (hashes >> np.uint64(1)) % np.uint64(config.buckets)  # the lowest bit is for the sign
            sign = 1.0 - 2.0 * (hashes & np.uint64(1)) if config.signed else np.ones(len(hashes))
            cells.append(rows * config.buckets + columns.astype(np.int64)[codes])
            signs.append(sign[codes])
        distinct, cell = np.unique(np.concatenate(cells), return_inverse=True)
        sums = np.bincount(cell, np.concatenate(signs), len(distinct))  # of whole numbers: exact in any order
        kept = sums != 0
        return of_cells(distinct[kept], sums[kept].astype(np.float32), (values.count, config.buckets))
