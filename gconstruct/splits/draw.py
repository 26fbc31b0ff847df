"""`by: random`: a seeded draw with shares."""

from __future__ import annotations

import numpy as np

from gconstruct.splits.base import SPLIT_OPERATORS
from gconstruct.splits.drawn import DrawnSplit
from graphstorm_like.config.splits import RandomSplit


@SPLIT_OPERATORS.register(RandomSplit)
class Draw(DrawnSplit[RandomSplit]):
    """Buckets: train, valid, test."""

    def ends(self) -> np.ndarray:
        """See DrawnSplit."""
        ends = np.cumsum([self.config.train, self.config.valid, self.config.test])
        ends[ends > 1 - 1e-9] = 1.0  # 0.7 + 0.2 + 0.1 < 1 in floats
        return ends

    def splits(self) -> np.ndarray:
        """See DrawnSplit."""
        return np.array([1, 2, 3, 0], np.uint8)
