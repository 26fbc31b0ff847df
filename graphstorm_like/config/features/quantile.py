"""`encode: quantile`"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from graphstorm_like.config.features.base import FeatureConfig


class QuantileFeature(FeatureConfig):
    """A number per row -> the share of the column that is smaller: the smallest is 0, the largest 1."""

    encode: Literal["quantile"]
    column: str
    """The column that holds it."""
    to: Literal["uniform", "normal"] = "uniform"
    """The distribution of the result: uniform in [0, 1], or normal (ends at -5.2 and 5.2)."""
    knots: Annotated[int, Field(ge=2, le=100_000)] = 1000
    """How many numbers of the distribution graph.json keeps; between them it is a straight line."""
    missing: Literal["error", "median"] = "error"
    """What a null or NaN becomes: an error, or the middle of the distribution."""
