"""How many of the true nearest an approximate index finds, measured on a sample of queries."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from graphstorm_like.config.search import ExactSearchConfig
from graphstorm_like.search.kinds import INDEXES, Floats, Rows, VectorIndex

SAMPLE, AT = 200, 10


@dataclass(frozen=True, slots=True)
class Recall:
    """value: share of the true `k` nearest that were found, mean over `queries` queries."""

    value: float
    k: int
    queries: int

    def as_json(self) -> dict[str, Any]:
        """For meta.json."""
        return asdict(self)


def measure_recall(index: VectorIndex, queries: Floats, k: int = AT, sample: int = SAMPLE) -> Recall:
    """Recall over queries [q, D], of which at most `sample`, evenly spread, are compared with all vectors."""
    chosen = np.unique(np.linspace(0, len(queries) - 1, min(sample, len(queries))).astype(np.int64))
    some = np.ascontiguousarray(queries[chosen], dtype=np.float32)
    k = min(k, len(index.vectors))
    exact = INDEXES.of(ExactSearchConfig(type="exact"))(None, index.vectors)
    return Recall(found_share(exact.search(some, k)[1], index.search(some, k)[1]), k, len(some))


def found_share(true_rows: Rows, found_rows: Rows) -> float:
    """Share of the true rows [q, k] that are among the found ones of the same query."""
    hits = (true_rows[:, :, None] == found_rows[:, None, :]).any(axis=2) & (true_rows >= 0)
    return float(hits.sum() / max(int((true_rows >= 0).sum()), 1))
