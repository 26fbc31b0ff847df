"""`encode: multi_hot`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.features.base import FeatureConfig


class MultiHotFeature(FeatureConfig):
    """Several categories per row: a list column, or a string to be split at `separator`."""

    encode: Literal["multi_hot"]
    column: str
    """A list column, or a string column with `separator`."""
    separator: str | None = None
    """What divides the categories of a string."""
    max_categories: PositiveInt = 256
    """The most frequent are kept."""
