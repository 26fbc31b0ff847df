"""A number -> ones in the columns of the intervals that contain it.

With edges e_0 < ... < e_k, column i stands for e_i <= x < e_(i+1); the first and the last are unbounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gconstruct.quantiles import Distribution
from gconstruct.transforms.base import TRANSFORMS, Transform
from gconstruct.transforms.scalars import read_scalars
from gconstruct.values import Source
from graphstorm_like.config.features.bucket import BucketFeature


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers of some rows."""

    rows: int
    """with and without numbers"""
    low: float
    """Infinite when there are no numbers, like `high`"""
    high: float
    distribution: Distribution | None
    """For quantiles"""


@TRANSFORMS.register(BucketFeature)
class BucketTransform(Transform[BucketFeature, np.ndarray, Numbers]):
    """Values: (n) float64, NaN for null."""

    use = "scalar"

    def read(self, source: Source) -> np.ndarray | None:
        """Infinite and missing numbers are reported."""
        return read_scalars(source, self.config.missing == "error", ("own", "zero"))

    def fit(self, values: np.ndarray) -> Numbers:
        """What determines the edges."""
        numbers = values[~np.isnan(values)]
        distribution = Distribution.of(numbers) if self.config.by == "quantile" else None
        low, high = float(numbers.min(initial=np.inf)), float(numbers.max(initial=-np.inf))
        return Numbers(len(values), low, high, distribution)

    def merge(self, first: Numbers, second: Numbers) -> Numbers:
        """Of both; their order does not matter."""
        distribution = None
        if first.distribution is not None and second.distribution is not None:
            distribution = first.distribution.merged(second.distribution)
        rows, low, high = first.rows + second.rows, min(first.low, second.low), max(first.high, second.high)
        return Numbers(rows, low, high, distribution)

    def state(self, statistics: Numbers, source: Source) -> dict[str, Any] | None:
        """The edges between the intervals, one fewer than intervals."""
        config, low, high = self.config, statistics.low, statistics.high
        if config.edges is not None:
            return {"inner_edges": config.edges[1:-1]}
        assert config.buckets is not None
        if low > high:
            if not statistics.rows:
                return {"inner_edges": []}
            rule = f"must have at least one number to take the edges from (got {statistics.rows:,} rows without)"
            source.refuse_all(rule, f"Leave the feature out, or set {source.key}.edges")
            return None
        shares = np.arange(1, config.buckets) / config.buckets
        if statistics.distribution is not None:
            return {"inner_edges": np.unique(statistics.distribution.quantiles(shares)).tolist()}
        return {"inner_edges": (low * (1 - shares) + high * shares).tolist()}

    def apply(self, values: np.ndarray, state: dict[str, Any], source: Source) -> np.ndarray:
        """float32 (n, intervals), and one column more with missing: own."""
        edges = np.array(state["inner_edges"])
        intervals, half = len(edges) + 1, self.config.window / 2
        missing = np.isnan(values)
        rows = np.flatnonzero(~missing)
        first = np.searchsorted(edges, values[rows] - half, side="right")
        last = np.searchsorted(edges, values[rows] + half, side="right")
        out = np.zeros((len(values), intervals + (self.config.missing == "own")), np.float32)
        for step in range(int((last - first).max(initial=-1)) + 1):
            inside = first + step <= last
            out[rows[inside], first[inside] + step] = 1.0
        if self.config.missing == "own":
            out[missing, intervals] = 1.0
        return out
