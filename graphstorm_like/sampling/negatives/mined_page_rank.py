"""Negatives near the source: personalised PageRank of few steps over all relations of the training graph as one.

    p = alpha * sum over k = 0 .. steps of (1 - alpha)^k * e_s W^k,   W: to each neighbour alike

(Page et al. 1999; for negatives: HeaRT, Li et al., NeurIPS 2023, alpha = .15)
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.negatives.mined_page_rank import MinedPageRankConfig
from graphstorm_like.graph.store import Graph, IntArray
from graphstorm_like.sampling.negatives.base import NEGATIVES
from graphstorm_like.sampling.negatives.mined import BLOCK, MinedNegatives, ScoreBlock, Scores
from graphstorm_like.sampling.negatives.paths import Neighbors, summed
from graphstorm_like.sampling.true_targets import TrueTargets

FAINT = 1e-6
"""Walks with less chance than this do not go on."""


@NEGATIVES.register(MinedPageRankConfig)
class MinedByPageRank(MinedNegatives):
    """See module."""

    def __init__(self, config: MinedPageRankConfig, graph: Graph, true_targets: Mapping[EdgeType, TrueTargets]) -> None:
        super().__init__(config, graph, true_targets)
        neighbors = Neighbors.of(graph, config.most_neighbors, true_targets)
        self.mine_once(graph, lambda edge_type: walks(neighbors, edge_type, self.num_targets[edge_type], config))


def walks(neighbors: Neighbors, edge_type: EdgeType, num_targets: int, config: MinedPageRankConfig) -> ScoreBlock:
    """Scores of all targets of a relation."""
    first, targets = neighbors.first[edge_type[0]], neighbors.columns(edge_type[2], num_targets)
    nodes = len(neighbors.degrees)

    def of_block(sources: IntArray) -> Scores:
        rows, at, mass = np.arange(len(sources)), sources + first, np.full(len(sources), config.restart)
        total = summed(rows, at, mass, (len(sources), nodes))
        for _ in range(config.steps):
            onwards = (1.0 - config.restart) * mass / np.maximum(neighbors.degrees[at], 1)
            reached = summed(*neighbors.table.steps(rows, at, onwards), (len(sources), nodes))
            total += reached
            rows, at = np.nonzero(reached > FAINT)
            mass = reached[rows, at]
        return total[:, targets].astype(np.float32)

    def scores(sources: IntArray) -> Scores:
        size = max(1, BLOCK // (4 * nodes))
        return np.concatenate([of_block(sources[i : i + size]) for i in range(0, len(sources), size)])

    return scores
