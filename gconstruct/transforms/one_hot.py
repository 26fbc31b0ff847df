"""One category per row -> a one in its column; null gives the zero vector."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.transforms.base import TRANSFORMS
from gconstruct.transforms.categories import Categories, CategoryTransform
from gconstruct.values import Source
from graphstorm_like.config.features.one_hot import OneHotFeature


@TRANSFORMS.register(OneHotFeature)
class OneHotTransform(CategoryTransform[OneHotFeature]):
    """Strings, integers or booleans."""

    use = "one_hot"

    def read(self, source: Source) -> Categories:
        """Integers and booleans are categories by their written form."""
        return Categories.of(len(source), pc.cast(source.values, pa.large_string()))
