"""A category -> how many rows have it, as a logarithm or a share.

No label is looked at, so that nothing of the target leaks into the feature.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.transforms.base import TRANSFORMS, Transform
from gconstruct.transforms.categories import Categories, Frequencies
from gconstruct.values import Source
from graphstorm_like.config.features.frequency import FrequencyFeature


@TRANSFORMS.register(FrequencyFeature)
class FrequencyTransform(Transform[FrequencyFeature, Categories, Frequencies]):
    """See module."""

    use = "one_hot"

    def read(self, source: Source) -> Categories:
        """Integers and booleans are categories by their written form."""
        return Categories.of(len(source), pc.cast(source.values, pa.large_string()))

    def fit(self, values: Categories) -> Frequencies:
        """Count the categories."""
        return values.counted()

    def merge(self, first: Frequencies, second: Frequencies) -> Frequencies:
        """Sums of the counts."""
        return first.merged(second)

    def state(self, statistics: Frequencies, source: Source) -> dict[str, Any] | None:
        """The most frequent categories and their counts, the mean count of the others, and all rows with a category."""
        table = statistics.table
        if not len(table) and statistics.rows:
            rule = f"must have at least one category (got {statistics.rows:,} rows without)"
            source.refuse_all(rule, f"Leave out {source.key}")
            return None
        kept = statistics.most_frequent(self.config.max_categories)
        total, of_kept = pc.sum(table.column("count")).as_py() or 0, pc.sum(kept.column("count")).as_py() or 0
        others = len(table) - len(kept)
        return {
            "categories": kept.column("name").to_pylist(),
            "counts": kept.column("count").to_pylist(),
            "other_count": (total - of_kept) / others if others else 0.0,
            "total": total,
        }

    def apply(self, values: Categories, state: dict[str, Any], source: Source) -> np.ndarray:
        """float32 (n, 1)."""
        place = pc.index_in(values.names, value_set=pa.array(state["categories"], pa.large_string()))
        counts = np.array([*state["counts"], state["other_count"]], np.float64)
        of_name = counts[pc.fill_null(place, len(counts) - 1).to_numpy(zero_copy_only=False)]
        numbers = np.log1p(of_name) if self.config.value == "log_count" else of_name / max(state["total"], 1)
        out = np.zeros((values.count, 1), np.float32)
        out[values.rows, 0] = numbers[values.codes]
        return out
