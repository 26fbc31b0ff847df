"""A number -> ones in the columns of the intervals that contain it.

With edges e_0 < ... < e_k, column i stands for e_i <= x < e_(i+1); the first and the last are unbounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gconstruct.problems import EXAMPLES, Unquoted
from gconstruct.transforms.base import TRANSFORMS, Transform
from gconstruct.values import Source, as_numbers
from graphstorm_like.config.features.bucket import BucketFeature


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers of some rows."""

    rows: int
    """with and without numbers"""
    kept: np.ndarray
    """float64: for quantiles all numbers, for a range the smallest and largest, for given edges none"""


@TRANSFORMS.register(BucketFeature)
class BucketTransform(Transform[BucketFeature, np.ndarray, Numbers]):
    """Values: (n) float64, NaN for null."""

    use = "scalar"

    def read(self, source: Source) -> np.ndarray | None:
        """Infinite and missing numbers are reported."""
        numbers = as_numbers(source)
        if numbers is None:
            return None
        before = len(source.problems)
        values: np.ndarray = numbers.to_numpy(zero_copy_only=False)
        infinite = np.flatnonzero(np.isinf(values))
        if infinite.size:
            fix = f"Replace it in the table, e.g. by null with {source.key}.missing: own"
            source.refuse(infinite, values[infinite[:EXAMPLES]].tolist(), "finite", fix)
        missing = np.flatnonzero(np.isnan(values))
        if missing.size and self.config.missing == "error":
            raw = [source.values[row].as_py() for row in missing[:EXAMPLES].tolist()]
            shown = [value if value is None else Unquoted("NaN") for value in raw]
            source.refuse(missing, shown, "a number", f"Set {source.key}.missing: own or zero")
        return values if len(source.problems) == before else None

    def fit(self, values: np.ndarray) -> Numbers:
        """The numbers that determine the edges."""
        return self._kept(len(values), values[~np.isnan(values)])

    def merge(self, first: Numbers, second: Numbers) -> Numbers:
        """Numbers of both; exact."""
        return self._kept(first.rows + second.rows, np.concatenate([first.kept, second.kept]))

    def _kept(self, rows: int, numbers: np.ndarray) -> Numbers:
        if self.config.edges is not None or not numbers.size:
            return Numbers(rows, numbers[:0])
        if self.config.by == "quantile":
            return Numbers(rows, numbers)
        return Numbers(rows, np.array([numbers.min(), numbers.max()]))

    def state(self, statistics: Numbers, source: Source) -> dict[str, Any] | None:
        """The edges between the intervals, one fewer than intervals."""
        config, numbers = self.config, statistics.kept
        if config.edges is not None:
            return {"inner_edges": config.edges[1:-1]}
        assert config.buckets is not None
        if not numbers.size:
            if not statistics.rows:
                return {"inner_edges": []}
            rule = f"must have at least one number to take the edges from (got {statistics.rows:,} rows without)"
            source.refuse_all(rule, f"Leave the feature out, or set {source.key}.edges")
            return None
        shares = np.arange(1, config.buckets) / config.buckets
        if config.by == "quantile":
            return {"inner_edges": np.unique(np.quantile(numbers, shares)).tolist()}
        low, high = numbers.min(), numbers.max()
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
