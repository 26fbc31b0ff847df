"""A number -> its share of the column.

Rank r (from 0; equal numbers have the middle of theirs) of n numbers -> r / (n - 1), or the normal quantile of that.
"""

from __future__ import annotations

import numpy as np

from gconstruct.transforms.base import TRANSFORMS
from gconstruct.transforms.ranked import RankTransform, normal_quantiles
from graphstorm_like.config.features.quantile import QuantileFeature

_EPSILON = 1e-7
"""The ends of a normal distribution would be infinite: its quantile of 1e-7 is -5.2."""


@TRANSFORMS.register(QuantileFeature)
class QuantileTransform(RankTransform[QuantileFeature]):
    """See module."""

    other_policy = "median"

    def __init__(self, config: QuantileFeature) -> None:
        super().__init__(config)
        self.middle = 0.0 if config.to == "normal" else 0.5

    def results(self, positions: np.ndarray, count: int) -> np.ndarray:
        """See module."""
        shares = positions / (count - 1) if count > 1 else np.full(len(positions), 0.5)
        return normal_quantiles(shares, _EPSILON) if self.config.to == "normal" else shares
