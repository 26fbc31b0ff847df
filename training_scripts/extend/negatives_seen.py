"""Negatives of your own: drawn alike among the nodes that are the target of a training edge, and no others.

plugins: [./negatives_seen.py]
task: { type: link_prediction, negatives: { type: seen, count: 64 }, ... }
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from graphstorm_like.config.base import EdgeType, PositiveInt
from graphstorm_like.config.negatives import NegativesConfig
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.sampling.negatives import NEGATIVES, Negatives
from graphstorm_like.sampling.true_targets import TrueTargets


class SeenNegativesConfig(NegativesConfig):
    """Nodes that some training edge leads to are drawn alike."""

    type: Literal["seen"]
    count: PositiveInt = 64
    """Drawn a step, shared by its edges."""


@NEGATIVES.register(SeenNegativesConfig)
class SeenNegatives(Negatives):
    """See module."""

    def __init__(self, config: SeenNegativesConfig, graph: Graph, known: Mapping[EdgeType, TrueTargets]) -> None:
        self.count = config.count
        self.counts = {edge_type[2]: graph.manifest.node(edge_type[2]).count for edge_type in known}
        self.seen: dict[NodeType, IntArray] = {}
        for node_type in self.counts:
            targets = [edges.targets for edge_type, edges in known.items() if edge_type[2] == node_type]
            self.seen[node_type] = np.unique(np.concatenate(targets))

    def draw(
        self, node_type: NodeType, edges: Mapping[EdgeType, tuple[IntArray, IntArray]], rng: np.random.Generator
    ) -> IntArray:
        """Ids [count]."""
        seen = self.seen[node_type]
        return seen[rng.integers(len(seen), size=self.count)]

    def chances(self, node_type: NodeType, ids: IntArray, count: int) -> np.ndarray:
        """[n] of some nodes, in each of `count` draws."""
        seen = self.seen[node_type]
        return np.isin(ids, seen) / len(seen)
