"""Every vector is compared with every query, by matrix products of bounded size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from graphstorm_like.config.search import ExactSearchConfig
from graphstorm_like.search.kinds.base import INDEXES, Floats, Rows, VectorIndex

BLOCK_SCORES, BLOCK_VECTORS = 20_000_000, 100_000
"""Scores in memory at once (80 MB), and vectors that are compared together."""


@INDEXES.register(ExactSearchConfig)
class ExactIndex(VectorIndex):
    """See module. Among equal scores the smaller row comes first."""

    def build(self) -> None:
        """Nothing is needed beside the vectors."""

    def search(self, queries: Floats, k: int) -> tuple[Floats, Rows]:
        """See VectorIndex."""
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        rows = np.full((len(queries), k), -1, dtype=np.int64)
        step = max(1, BLOCK_SCORES // max(1, min(BLOCK_VECTORS, len(self.vectors))))
        for start in range(0, len(queries), step):
            part = slice(start, start + step)
            scores[part], rows[part] = self._best(queries[part], k)
        return scores, rows

    def _best(self, queries: Floats, k: int) -> tuple[Floats, Rows]:
        """The best of all blocks of vectors, for queries that are few enough."""
        best_scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        best_rows = np.full((len(queries), k), -1, dtype=np.int64)
        for start in range(0, len(self.vectors), BLOCK_VECTORS):
            block = np.array(self.vectors[start : start + BLOCK_VECTORS], dtype=np.float32)  # of a read-only map
            products = torch.from_numpy(queries) @ torch.from_numpy(block).T
            best = products.topk(min(k, len(block)), dim=1)  # numpy's partition takes ten times as long
            scores = np.concatenate([best_scores, best.values.numpy()], axis=1)
            rows = np.concatenate([best_rows, best.indices.numpy() + start], axis=1)
            best_scores, best_rows = _first(scores, rows, k)
        return best_scores, best_rows

    def save(self, folder: Path) -> None:
        """Nothing is needed beside the vectors."""

    def load(self, folder: Path) -> None:
        """Nothing is needed beside the vectors."""


def _first(scores: Floats, rows: Rows, k: int) -> tuple[Floats, Rows]:
    """The k best of each line, best first; of equal ones the smaller row, and -1 last."""
    order = np.lexsort((np.where(rows < 0, np.iinfo(np.int64).max, rows), -scores), axis=1)[:, :k]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1)
