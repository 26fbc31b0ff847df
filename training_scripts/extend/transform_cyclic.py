"""A feature transform of your own: an hour, weekday or angle as a point on the circle, so that 23 lies next to 0.

x -> [sin(2 pi x / period), cos(2 pi x / period)]

    plugins: [./transform_cyclic.py]
    graph: { nodes: { visit: { features: { hour: { encode: cyclic, column: hour, period: 24 } } } } }
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from gconstruct.transforms.base import TRANSFORMS, Transform
from gconstruct.values import Source, as_numbers
from graphstorm_like.config.base import PositiveFloat
from graphstorm_like.config.features import FeatureConfig


class CyclicFeature(FeatureConfig):
    """A number that returns after a period, as a point on the circle."""

    encode: Literal["cyclic"]
    column: str
    period: PositiveFloat


@TRANSFORMS.register(CyclicFeature)
class CyclicTransform(Transform[CyclicFeature, np.ndarray, int]):
    """It needs no statistics: what is fit is the number of rows, and nothing is kept."""

    use = "scalar"

    def read(self, source: Source) -> np.ndarray | None:
        """(n) float64, finite."""
        numbers = as_numbers(source)
        if numbers is None:
            return None
        values: np.ndarray = numbers.to_numpy(zero_copy_only=False)
        wrong = np.flatnonzero(~np.isfinite(values))
        if wrong.size:
            source.refuse(wrong, values[wrong[:3]].tolist(), "a finite number", "Fill it in the table")
            return None
        return values

    def fit(self, values: np.ndarray) -> int:
        """See class."""
        return len(values)

    def merge(self, one: int, other: int) -> int:
        """See class."""
        return one + other

    def state(self, statistics: int, source: Source) -> dict[str, Any]:
        """See class."""
        return {}

    def apply(self, values: np.ndarray, state: dict[str, Any], source: Source) -> np.ndarray:
        """float32 (n, 2)."""
        angles = 2 * np.pi * values / self.config.period
        return np.stack([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)
