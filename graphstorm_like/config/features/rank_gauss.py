"""`encode: rank_gauss`"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from graphstorm_like.config.features.base import FeatureConfig


class RankGaussFeature(FeatureConfig):
    """A number per row, by its rank in the column: the ranks are spread like a normal distribution.

    Equal numbers have one rank, the middle of theirs. A new number lies between its neighbours' ranks.
    """

    encode: Literal["rank_gauss"]
    column: str
    """The column that holds it."""
    epsilon: Annotated[float, Field(gt=0.0, lt=0.5)] = 1e-4
    """Shares of the distribution are cut to [epsilon, 1 - epsilon], so that the ends are finite: 1e-4 gives 3.72."""
    knots: Annotated[int, Field(ge=2, le=100_000)] = 1000
    """How many numbers of the distribution graph.json keeps; between them it is a straight line."""
    missing: Literal["error", "zero"] = "error"
    """What a null or NaN becomes: an error, or 0, the middle of the distribution."""
