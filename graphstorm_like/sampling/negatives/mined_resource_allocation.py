"""Negatives with many common neighbours: score(s, t) = sum over common neighbours x of 1 / degree(x) (resource
allocation, Zhou, Lu and Zhang, Eur. Phys. J. B 2009), over all relations of the training graph as one.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.negatives import MinedResourceAllocationConfig
from graphstorm_like.graph.store import Graph
from graphstorm_like.sampling.negatives.base import NEGATIVES
from graphstorm_like.sampling.negatives.mined import MinedNegatives
from graphstorm_like.sampling.negatives.paths import Neighbors, Table
from graphstorm_like.sampling.negatives.two_steps import TwoSteps
from graphstorm_like.sampling.true_targets import TrueTargets


@NEGATIVES.register(MinedResourceAllocationConfig)
class MinedByResourceAllocation(MinedNegatives):
    """See module."""

    def __init__(
        self, config: MinedResourceAllocationConfig, graph: Graph, true_targets: Mapping[EdgeType, TrueTargets]
    ) -> None:
        super().__init__(config, graph, true_targets)
        neighbors = Neighbors.of(graph, config.most_neighbors, true_targets)
        self.mine_once(graph, lambda edge_type: allocation(neighbors, edge_type, self.num_targets[edge_type]))


def allocation(neighbors: Neighbors, edge_type: EdgeType, num_targets: int) -> TwoSteps:
    """Scores of all targets of a relation."""
    table = neighbors.table
    shares = table.weights / np.maximum(neighbors.degrees[table.columns], 1)
    targets = neighbors.columns(edge_type[2], num_targets)
    return TwoSteps(Table(table.starts, table.columns, shares), table, neighbors.first[edge_type[0]], targets)
