"""`encode: frequency`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.features.base import FeatureConfig


class FrequencyFeature(FeatureConfig):
    """How frequent a row's category is among all rows: one number for a vocabulary of any size. No label is used.

    The column holds strings, integers or booleans; null gives 0.
    """

    encode: Literal["frequency"]
    column: str
    """The column that holds the category."""
    value: Literal["log_count", "share"] = "log_count"
    """log_count: log(1 + rows of the category); share: rows of the category / rows with a category."""
    max_categories: PositiveInt = 10_000
    """The most frequent are kept in graph.json. The others, and new ones, have the mean count of the others."""
