"""`encode: one_hot`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.features.base import FeatureConfig


class OneHotFeature(FeatureConfig):
    """One of a set of categories per row (string, integer or boolean); null gives the zero vector."""

    encode: Literal["one_hot"]
    column: str
    """The column that holds it."""
    max_categories: PositiveInt = 256
    """The most frequent are kept; others share one column named `<other>`."""
