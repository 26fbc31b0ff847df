"""The best targets of each source by an approximate index: where there are too many targets to compare them all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graphstorm_like.config.train import InferConfig
from graphstorm_like.graph.store import IntArray, NodeType
from graphstorm_like.models.embedding import Vectors
from graphstorm_like.search.kinds import INDEXES
from graphstorm_like.search.recall import SAMPLE, found_share
from graphstorm_like.tasks.best_targets import BestTargets
from graphstorm_like.tasks.links import LinkRanker
from graphstorm_like.tasks.outputs import Follow, Rows, row_ids

SPARE = 16
"""Targets that are looked up besides twice as many as are asked for, because known ones are taken out again."""


class ApproximateTargets(BestTargets):
    """Like BestTargets, for heads whose scores are inner products.

    A source whose known targets leave fewer than `k` of what the index finds is compared with all targets.
    """

    def __init__(
        self, ranker: LinkRanker, vectors: Mapping[NodeType, Vectors], config: InferConfig, follow: Follow
    ) -> None:
        super().__init__(ranker, vectors, config, follow)
        self._index = INDEXES.of(config.search)(config.search, self.keys.cpu().numpy())
        self._index.build()
        self._kind, self.compared_with_all = config.search.type, 0
        self._asked: list[IntArray] = []
        """Sources that were asked for: only of these there need be vectors."""

    def table(self, part: Rows) -> pa.Table:
        """See BestTargets."""
        self._asked.append(row_ids(part))
        return super().table(part)

    def _best(self, ids: IntArray) -> tuple[IntArray, Vectors]:
        """([n, k] targets, [n, k] scores) of n sources."""
        queries = self.ranker.queries(self.vectors[ids]).cpu().numpy()
        scores, targets = self._index.search(queries, min(2 * self.k + SPARE, len(self.keys)))
        scores[self._is_excluded(ids, targets)] = -np.inf
        order = np.argsort(-scores, axis=1, kind="stable")[:, : self.k]
        best, best_scores = np.take_along_axis(targets, order, axis=1), np.take_along_axis(scores, order, axis=1)
        short = np.flatnonzero(best_scores[:, -1] == -np.inf)
        if len(short):
            best[short], best_scores[short] = super()._best(ids[short])
            self.compared_with_all += len(short)
        return best, best_scores

    def _is_excluded(self, ids: IntArray, targets: IntArray) -> npt.NDArray[np.bool_]:
        """[n, m]: whether a source must not get a found target."""
        count = len(self.keys)
        keys = np.arange(len(ids))[:, None] * count + targets
        excluded = targets < 0
        for true_targets in self.excluded:
            rows, known = true_targets.pairs(ids)
            excluded |= np.isin(keys, rows * count + known)
        if self.ranker.excludes_source:
            excluded |= targets == ids[:, None]
        return excluded

    def facts(self) -> dict[str, Any]:
        """Recall at k on an even sample of the sources that were asked for; how many were compared with all targets."""
        compared_with_all = self.compared_with_all
        asked = np.concatenate(self._asked)
        sample = asked[np.unique(np.linspace(0, len(asked) - 1, min(SAMPLE, len(asked))).astype(np.int64))]
        true_targets, true_scores = super()._best(sample)
        found, _ = self._best(sample)
        recall = found_share(np.where(true_scores > -np.inf, true_targets, -1), found)
        return {
            "approximate": {
                "type": self._kind,
                "recall": recall,
                "k": self.k,
                "sources_measured": len(sample),
                "sources_compared_with_all": compared_with_all,
            }
        }
