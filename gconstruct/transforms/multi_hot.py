"""Several categories per row -> ones in their columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.transforms.base import TRANSFORMS
from gconstruct.transforms.categories import Categories, CategoryTransform
from gconstruct.values import Source
from graphstorm_like.config.features.multi_hot import MultiHotFeature


@TRANSFORMS.register(MultiHotFeature)
class MultiHotTransform(CategoryTransform[MultiHotFeature]):
    """Lists, or strings that are split at the separator. Blanks around categories and empty ones are ignored."""

    def __init__(self, config: MultiHotFeature) -> None:
        super().__init__(config)
        self.use = "multi_hot" if config.separator is None else "separated"

    def read(self, source: Source) -> Categories:
        """The categories of all rows, one after another."""
        column = source.values
        if self.config.separator is not None:
            column = pc.split_pattern(pc.cast(column, pa.large_string()), pattern=self.config.separator)
        if pa.types.is_null(column.type):
            return Categories.of(len(source), pa.array([], pa.large_string()), np.empty(0, np.int64))
        rows = pc.list_parent_indices(column).to_numpy(zero_copy_only=False)
        strings = pc.utf8_trim_whitespace(pc.cast(column.flatten(), pa.large_string()))
        not_empty = pc.fill_null(pc.not_equal(strings, ""), False)
        return Categories.of(len(source), strings.filter(not_empty), rows[not_empty.to_numpy(zero_copy_only=False)])
