"""Negatives drawn uniformly from all nodes of the target type."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.negatives import UniformNegativesConfig
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.sampling.negatives.base import NEGATIVES, DrawnNegatives
from graphstorm_like.sampling.true_targets import TrueTargets


@NEGATIVES.register(UniformNegativesConfig)
class UniformNegatives(DrawnNegatives):
    """See module."""

    def __init__(
        self, config: UniformNegativesConfig, graph: Graph, true_targets: Mapping[EdgeType, TrueTargets]
    ) -> None:
        self.count = config.uniform
        self._nodes = {e[2]: graph.manifest.node(e[2]).count for e in true_targets}

    def nodes(self, count: int, node_type: NodeType, rng: np.random.Generator) -> IntArray:
        """See DrawnNegatives."""
        return rng.integers(self._nodes[node_type], size=count)
