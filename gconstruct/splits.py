"""Which rows are for training, validation and test: the words of a column, or draws.

Splits are uint8 positions in SPLITS. A draw hashes the row's id (see `hashing`), so the order of rows, files or
chunks does not matter, nor the engine.
"""

from __future__ import annotations

import numpy as np

from graphstorm_like.config.graph import SplitConfig
from graphstorm_like.graph.schema import SPLITS

WRITTEN = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}
"""Words that a column may hold (in any case, blanks around them ignored) -> names in SPLITS."""
EDGE_SEPARATOR = "\x1f"
"""Drawn splits of edges hash the source's id, this, and the target's id."""


def draw_splits(draws: np.ndarray, config: SplitConfig) -> np.ndarray:
    """Draws in [0, 1) -> splits uint8."""
    bounds = np.cumsum([config.train or 0.0, config.valid or 0.0, config.test or 0.0])
    bounds[bounds > 1 - 1e-9] = 1.0  # 0.7 + 0.2 + 0.1 < 1 in floats
    splits = np.searchsorted(bounds, draws, side="right") + 1
    return np.where(splits == len(SPLITS), 0, splits).astype(np.uint8)


def split_counts(splits: np.ndarray) -> dict[str, int]:
    """Rows by the name of their split."""
    return dict(zip(SPLITS, np.bincount(splits, minlength=len(SPLITS)).tolist(), strict=True))
