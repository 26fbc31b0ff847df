"""`by: folds`: one of k folds for the test, the next for validation, the others for training."""

from __future__ import annotations

import numpy as np

from gconstruct.splits.base import SPLIT_OPERATORS
from gconstruct.splits.drawn import DrawnSplit
from graphstorm_like.config.splits import FoldsSplit
from graphstorm_like.graph.schema import SPLITS


@SPLIT_OPERATORS.register(FoldsSplit)
class Folds(DrawnSplit[FoldsSplit]):
    """Buckets: the folds."""

    free_options = frozenset({"fold"})

    def ends(self) -> np.ndarray:
        """See DrawnSplit."""
        return np.arange(1, self.config.folds + 1) / self.config.folds

    def splits(self) -> np.ndarray:
        """See DrawnSplit."""
        splits = np.full(self.config.folds + 1, SPLITS.index("train"), np.uint8)
        splits[self.config.fold] = SPLITS.index("test")
        splits[(self.config.fold + 1) % self.config.folds] = SPLITS.index("valid")
        splits[-1] = 0
        return splits
