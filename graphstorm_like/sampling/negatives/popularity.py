"""Negatives drawn in proportion to degree ** exponent, as word2vec draws words (Mikolov et al., NeurIPS 2013).

The degree of a node is the number of training edges, of all relations of the task, that lead to it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.negatives import PopularityNegativesConfig
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.sampling.negatives.base import NEGATIVES, DrawnNegatives
from graphstorm_like.sampling.true_targets import TrueTargets


@NEGATIVES.register(PopularityNegativesConfig)
class PopularityNegatives(DrawnNegatives):
    """See module."""

    def __init__(
        self, config: PopularityNegativesConfig, graph: Graph, true_targets: Mapping[EdgeType, TrueTargets]
    ) -> None:
        self.count = config.count
        self._up_to: dict[NodeType, npt.NDArray[np.float64]] = {}
        for node_type in dict.fromkeys(e[2] for e in true_targets):
            degrees = np.zeros(graph.manifest.node(node_type).count)
            for edge_type, edges in true_targets.items():
                if edge_type[2] == node_type:
                    degrees += np.bincount(edges.targets, minlength=len(degrees))
            weights = np.where(degrees > 0, degrees**config.exponent, 0.0)
            self._up_to[node_type] = np.concatenate([[0.0], np.cumsum(weights)])

    def nodes(self, count: int, node_type: NodeType, rng: np.random.Generator) -> IntArray:
        """See DrawnNegatives."""
        up_to = self._up_to[node_type]
        at = rng.random(count) * up_to[-1]
        drawn: IntArray = np.searchsorted(up_to, at, side="right") - 1
        return drawn

    def chances(self, node_type: NodeType, ids: IntArray, count: int) -> npt.NDArray[np.float64]:
        """See Negatives."""
        up_to = self._up_to[node_type]
        probabilities: npt.NDArray[np.float64] = (up_to[ids + 1] - up_to[ids]) / up_to[-1]
        return probabilities
