"""What rank_gauss and quantile share: a number -> its place in the distribution of the column.

In graph.json: knots, which are numbers of the column and the results that they have; between two knots it is a
straight line, beyond the first and the last it stays what it is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, TypeVar

import numpy as np

from gconstruct.quantiles import Distribution
from gconstruct.transforms.base import Transform
from gconstruct.transforms.scalars import read_scalars
from gconstruct.values import Source
from graphstorm_like.config.features.quantile import QuantileFeature
from graphstorm_like.config.features.rank_gauss import RankGaussFeature

Config = TypeVar("Config", RankGaussFeature, QuantileFeature)


@dataclass(frozen=True, slots=True)
class Ranks:
    """The numbers of some rows."""

    rows: int
    """With and without numbers"""
    numbers: Distribution


class RankTransform(Transform[Config, np.ndarray, Ranks]):
    """Values: (n) float64, NaN for null."""

    use = "scalar"
    other_policy: str
    """What `missing` may be instead of error"""
    middle: float
    """What a missing number becomes"""

    def read(self, source: Source) -> np.ndarray | None:
        """Infinite numbers, and missing ones unless they are allowed, are reported."""
        return read_scalars(source, self.config.missing == "error", (self.other_policy,))

    def fit(self, values: np.ndarray) -> Ranks:
        """The distribution of the numbers."""
        return Ranks(len(values), Distribution.of(values[~np.isnan(values)]))

    def merge(self, first: Ranks, second: Ranks) -> Ranks:
        """Of both; their order does not matter."""
        return Ranks(first.rows + second.rows, first.numbers.merged(second.numbers))

    def state(self, statistics: Ranks, source: Source) -> dict[str, Any] | None:
        """The knots in ascending order, and their results."""
        numbers = statistics.numbers
        if not len(numbers):
            if not statistics.rows:
                return {"values": [], "results": []}
            rule = f"must have at least one number to rank (got {statistics.rows:,} rows without)"
            source.refuse_all(rule, "Leave the feature out")
            return None
        knots = numbers.knots(self.config.knots)
        results = self.results(numbers.positions()[knots], len(numbers))
        return {"values": numbers.values[knots].tolist(), "results": results.tolist()}

    def apply(self, values: np.ndarray, state: dict[str, Any], source: Source) -> np.ndarray:
        """float32 (n, 1)."""
        out = np.full(len(values), self.middle)
        there = ~np.isnan(values)
        if state["values"]:
            out[there] = np.interp(values[there], state["values"], state["results"])
        return out.astype(np.float32).reshape(-1, 1)

    def results(self, positions: np.ndarray, count: int) -> np.ndarray:
        """Results (k), ascending, of knots at these positions (k, from 0) in the sorted list of `count` numbers."""
        raise NotImplementedError


def normal_quantiles(shares: np.ndarray, epsilon: float) -> np.ndarray:
    """The numbers below which these shares (k) of a standard normal distribution lie; shares are cut to
    [epsilon, 1 - epsilon]."""
    normal = NormalDist()
    return np.array([normal.inv_cdf(share) for share in np.clip(shares, epsilon, 1 - epsilon).tolist()])
