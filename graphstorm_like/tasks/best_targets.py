"""The best targets of each source among all nodes of a type, as a table: what link prediction predicts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import torch

from graphstorm_like.config.base import edge_name
from graphstorm_like.config.train import InferConfig
from graphstorm_like.graph.directed import directed_edges
from graphstorm_like.graph.store import IntArray, NodeType
from graphstorm_like.models.embedding import Vectors
from graphstorm_like.sampling.true_targets import TrueTargets
from graphstorm_like.tasks.links import LinkRanker
from graphstorm_like.tasks.outputs import Follow, Rows, row_ids

CHUNK_SCORES = 40_000_000
"""Scores that are in memory at once: 160 MB."""


class BestTargets:
    """`k` targets of every source. vectors: [count, D] of all nodes of both types."""

    def __init__(
        self, ranker: LinkRanker, vectors: Mapping[NodeType, Vectors], config: InferConfig, follow: Follow
    ) -> None:
        source, _, target = ranker.edge_type
        manifest = ranker.graph.manifest
        self.ranker, self.follow = ranker, follow
        self.vectors, self.keys = vectors[source], ranker.keys(vectors[target])
        self.sources = manifest.node(source).count
        self.k = min(config.top_k, manifest.node(target).count)
        self.excluded = _excluded(ranker, config)

    def table(self, part: Rows) -> pa.Table:
        """Columns source, target, score and rank of some sources; a source with few targets has fewer than k rows."""
        rows = row_ids(part)
        targets, scores = self.best(rows)
        listed = np.flatnonzero(scores.reshape(-1) > float("-inf"))
        source_type, _, target_type = self.ranker.edge_type
        graph = self.ranker.graph
        return pa.table(
            {
                "source": graph.ids_of(source_type, np.repeat(rows, self.k)[listed]),
                "target": graph.ids_of(target_type, targets.reshape(-1)[listed]),
                "score": scores.reshape(-1)[listed],
                "rank": np.tile(np.arange(1, self.k + 1, dtype=np.int32), len(rows))[listed],
            }
        )

    def best(self, rows: IntArray) -> tuple[IntArray, Vectors]:
        """([n, k] targets, [n, k] scores, from the best down; -inf: there are no more) of n sources."""
        targets = np.empty((len(rows), self.k), dtype=np.int64)
        scores = np.empty((len(rows), self.k), dtype=np.float32)
        chunk = max(1, CHUNK_SCORES // max(1, len(self.keys)))
        for start in range(0, len(rows), chunk):
            ids = rows[start : start + chunk]
            targets[start : start + chunk], scores[start : start + chunk] = self._best(ids)
            self.follow(f"rank {edge_name(self.ranker.edge_type)}", int(ids[-1]) + 1, self.sources)
        return targets, scores

    @torch.inference_mode()
    def _best(self, ids: IntArray) -> tuple[IntArray, Vectors]:
        """([n, k] targets, [n, k] scores) of n sources."""
        scores = self.ranker.scores(self.ranker.queries(self.vectors[ids]), self.keys)
        if self.ranker.pairs is not None:
            scores = scores + self.ranker.more(ids)
        for true_targets in self.excluded:
            rows, targets = true_targets.pairs(ids)
            scores[torch.from_numpy(rows), torch.from_numpy(targets)] = float("-inf")
        if self.ranker.excludes_source:
            scores[torch.arange(len(ids)), torch.from_numpy(ids)] = float("-inf")
        best = scores.topk(self.k, dim=1)
        return best.indices.cpu().numpy(), best.values.cpu().numpy()


def _excluded(ranker: LinkRanker, config: InferConfig) -> list[TrueTargets]:
    """Pairs that must not be predicted, by `infer.known_pairs`."""
    if config.known_pairs == "list":
        return []
    excluded = [ranker.known]
    source_type, _, target_type = ranker.edge_type
    if config.known_pairs == "exclude_both_ways" and source_type == target_type:
        source, target = directed_edges(ranker.graph, ranker.edge_type)
        excluded.append(TrueTargets(target, source, ranker.graph.manifest.node(source_type).count))
    return excluded
