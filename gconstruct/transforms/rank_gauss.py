"""A number -> the normal quantile of its rank.

Rank r (from 0; equal numbers have the middle of theirs) of n numbers -> the number below which a share of (r + 1/2) / n
of the standard normal distribution lies.
"""

from __future__ import annotations

import numpy as np

from gconstruct.transforms.base import TRANSFORMS
from gconstruct.transforms.ranked import RankTransform, normal_quantiles
from graphstorm_like.config.features.rank_gauss import RankGaussFeature


@TRANSFORMS.register(RankGaussFeature)
class RankGaussTransform(RankTransform[RankGaussFeature]):
    """See module."""

    other_policy, middle = "zero", 0.0

    def results(self, positions: np.ndarray, count: int) -> np.ndarray:
        """See module."""
        return normal_quantiles((positions + 0.5) / count, self.config.epsilon)
