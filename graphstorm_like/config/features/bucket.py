"""`encode: bucket`"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from graphstorm_like.config.base import KeyedError, NonNegativeFloat, PositiveInt
from graphstorm_like.config.features.base import FeatureConfig


class BucketFeature(FeatureConfig):
    """A number per row, as ones in the columns of the intervals that contain it. Numbers beyond the first or last
    edge belong to the first or last interval."""

    encode: Literal["bucket"]
    column: str
    """The column that holds it."""
    edges: Annotated[list[float], Field(min_length=2)] | None = None
    """Ascending: k edges make k - 1 intervals. An interval holds its lower edge, and not its upper one."""
    buckets: PositiveInt | None = None
    """Instead of `edges`: how many intervals."""
    by: Literal["range", "quantile"] = "range"
    """With `buckets`: of equal width from the smallest to the largest number, or with equally many numbers. Quantiles
    that coincide are one edge, so that there may be fewer."""
    window: NonNegativeFloat = 0.0
    """A number x counts for every interval that [x - window / 2, x + window / 2] overlaps; 0: for one."""
    missing: Literal["error", "zero", "own"] = "error"
    """What a null or NaN becomes: an error, the zero vector, or a one in a last column of its own."""

    @model_validator(mode="after")
    def _one_way(self) -> BucketFeature:
        if (self.edges is None) == (self.buckets is None):
            raise ValueError("must have either 'edges' or 'buckets'")
        if self.edges is not None and any(low >= high for low, high in pairwise(self.edges)):
            raise KeyedError("edges", f"must be ascending (got {', '.join(f'{edge:g}' for edge in self.edges)})")
        if self.edges is not None and self.by != "range":
            raise KeyedError("by", "must be left out when 'edges' are given")
        return self
