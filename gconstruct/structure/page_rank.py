"""PageRank over all node types (Page et al. 1999), by power iteration.

rank = (1 - damping) / n + damping * (sum over edges into the node of rank[source] / degree[source] + rank of nodes
without edges / n). Memory: 32 bytes per node of the graph.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gconstruct.structure.base import STRUCTURES, Edges, Structure
from graphstorm_like.config.features.page_rank import PageRankFeature


@STRUCTURES.register(PageRankFeature)
class PageRank(Structure[PageRankFeature]):
    """See module."""

    def measure(self, edges: Edges, node_type: str) -> np.ndarray:
        """(nodes, 1): log(n * rank)."""
        starts = dict(zip(edges.counts, np.cumsum([0, *edges.counts.values()]).tolist(), strict=False))
        count = sum(edges.counts.values())
        degrees = np.zeros(count)
        for sources, _ in self._walks(edges, starts):
            degrees += np.bincount(sources, minlength=count)
        rank = np.full(count, 1.0 / count)
        for _ in range(self.config.steps):
            passed_on, reached = rank / np.maximum(degrees, 1.0), np.zeros(count)
            for sources, targets in self._walks(edges, starts):
                reached += np.bincount(targets, weights=passed_on[sources], minlength=count)
            lost = rank[degrees == 0].sum()
            rank = (1 - self.config.damping) / count + self.config.damping * (reached + lost / count)
        start = starts[node_type]
        numbers: np.ndarray = np.log(rank[start : start + edges.counts[node_type]] * count).reshape(-1, 1)
        return numbers

    def _walks(self, edges: Edges, starts: dict[str, int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Blocks of (from, to): numbers of nodes among those of all types."""
        for edge_type in self.config.chosen_edges(edges.edge_types):
            for sources, targets in edges.ends(edge_type):
                source = sources.astype(np.int64) + starts[edge_type[0]]
                target = targets.astype(np.int64) + starts[edge_type[2]]
                yield source, target
                if self.config.both_ways:
                    yield target, source
