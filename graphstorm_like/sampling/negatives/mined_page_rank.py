"""Negatives near the source: personalised PageRank of few steps over all relations of the training graph as one.

    p = alpha * sum over k = 0 .. steps of (1 - alpha)^k * e_s W^k,   W: to each neighbour alike

(Page et al. 1999; for negatives: HeaRT, Li et al., NeurIPS 2023, alpha = .15)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.negatives import MinedPageRankConfig
from graphstorm_like.graph.store import Graph, IntArray
from graphstorm_like.sampling.negatives.base import NEGATIVES
from graphstorm_like.sampling.negatives.best import BLOCK, Sparse
from graphstorm_like.sampling.negatives.mined import MinedNegatives
from graphstorm_like.sampling.negatives.paths import Neighbors
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


def walks(neighbors: Neighbors, edge_type: EdgeType, num_targets: int, config: MinedPageRankConfig) -> Walks:
    """Scores of all targets of a relation."""
    return Walks(neighbors, neighbors.first[edge_type[0]], neighbors.columns(edge_type[2], num_targets), config)


@dataclass(frozen=True)
class Walks:
    """See module and Scorer. first: number of the first source among all nodes; targets: those of the targets. Only
    nodes that a walk reaches are held."""

    neighbors: Neighbors
    first: int
    targets: slice
    config: MinedPageRankConfig

    def blocks(self, sources: IntArray) -> Iterator[IntArray]:
        """See Scorer."""
        size = max(1, BLOCK // (4 * len(self.neighbors.degrees)))
        yield from (sources[start : start + size] for start in range(0, len(sources), size))

    def pieces(self, sources: IntArray) -> Iterator[Sparse]:
        """See Scorer: one."""
        nodes, neighbors = len(self.neighbors.degrees), self.neighbors
        rows, at, mass = np.arange(len(sources)), sources + self.first, np.full(len(sources), self.config.restart)
        keys, masses = [rows * nodes + at], [mass]
        for _ in range(self.config.steps):
            onwards = (1.0 - self.config.restart) * mass / np.maximum(neighbors.degrees[at], 1)
            rows, at, onwards = neighbors.table.steps(rows, at, onwards)
            reached, inverse = np.unique(rows * nodes + at, return_inverse=True)
            mass = np.bincount(inverse, weights=onwards, minlength=len(reached)).astype(np.float64, copy=False)
            keys.append(reached)
            masses.append(mass)
            strong = mass > FAINT
            rows, at, mass = reached[strong] // nodes, reached[strong] % nodes, mass[strong]
        key, total = np.concatenate(keys), np.concatenate(masses)
        ends = key % nodes
        of_type = (ends >= self.targets.start) & (ends < self.targets.stop)
        key, ends, total = key[of_type], ends[of_type] - self.targets.start, total[of_type]
        yield Sparse.summed(key // nodes, ends, total, self.targets.stop - self.targets.start)
