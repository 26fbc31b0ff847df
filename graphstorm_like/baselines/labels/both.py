"""Texts, features and neighbours together in one linear model: on many graphs the strongest of the simple models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from graphstorm_like.baselines.base import Baseline
from graphstorm_like.baselines.labels.base import LABELS, LabelData
from graphstorm_like.baselines.outcome import Setting


@LABELS.register
class TextAndNeighbours(Baseline[LabelData]):
    """A linear model of TF-IDF rows and of which nodes are neighbours, rare ones weighing more."""

    name, reads = "TF-IDF and neighbours, linear", "text and graph"

    def unfit(self, data: LabelData) -> str | None:
        """See Baseline."""
        if data.node_type is None:
            return "the label is one of edges"
        if not data.has_text:
            return "there is no text"
        if not data.terms.shape[1]:
            return "no word is in two texts"
        return data.kind.unfit() or data.union.unfit()

    def estimate(self, data: LabelData) -> float:
        """See Baseline."""
        return 5e-7 * data.text_bytes * max(1, data.kind.classes) + 3e-7 * data.union.edges

    def settings(self, data: LabelData) -> Iterator[Setting]:
        """See Baseline."""
        import scipy.sparse as sp

        rows = sp.hstack([data.terms, neighbours(data)]).tocsr()
        return data.settings(rows, data.kind.machines(rows[data.part["train"]]))


def neighbours(data: LabelData) -> Any:
    """Sparse [n, nodes that at least two training rows have an edge to], weighed by rarity, rows of length 1."""
    import scipy.sparse as sp
    from sklearn.preprocessing import normalize

    assert data.node_type is not None
    rows = data.union.adjacency[data.union.first[data.node_type] + data.ids]
    train = rows[data.part["train"]]
    seen = np.asarray(train.sum(axis=0)).ravel()
    kept = np.flatnonzero(seen >= 2)
    if not len(kept):
        return sp.csr_matrix((len(data.ids), 0), dtype=np.float32)
    rarity = np.log(train.shape[0] / (1.0 + seen[kept])) + 1.0
    return normalize(rows[:, kept] @ sp.diags(rarity.clip(0.0).astype(np.float32)))
