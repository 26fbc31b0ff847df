"""Negatives that the table of edges gives: wrong targets that are hard to tell from the true one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.inverses import is_inverse
from graphstorm_like.config.negatives import HardNegativesConfig
from graphstorm_like.errors import DataError
from graphstorm_like.graph.store import Graph, IntArray
from graphstorm_like.sampling.negatives.base import NEGATIVES
from graphstorm_like.sampling.negatives.listed import ListedNegatives
from graphstorm_like.sampling.true_targets import TrueTargets


@dataclass(frozen=True, slots=True)
class EdgeIds:
    """The edges of a relation by their ends; of parallel edges the first. 16 bytes per edge."""

    keys: IntArray
    """Ascending: source * number of targets + target"""
    ids: IntArray
    num_targets: int

    @staticmethod
    def of(source: IntArray, target: IntArray, num_targets: int) -> EdgeIds:
        """Of edges 0, 1, ..."""
        keys = source * num_targets + target
        order = np.argsort(keys, kind="stable")
        return EdgeIds(keys[order], order, num_targets)

    def find(self, source: IntArray, target: IntArray) -> IntArray:
        """The ids of edges that are there."""
        found: IntArray = self.ids[np.searchsorted(self.keys, source * self.num_targets + target)]
        return found


@NEGATIVES.register(HardNegativesConfig)
class HardNegatives(ListedNegatives):
    """See module."""

    def __init__(self, config: HardNegativesConfig, graph: Graph, true_targets: Mapping[EdgeType, TrueTargets]) -> None:
        super().__init__(config, graph, true_targets)
        self.graph = graph
        self._edges: dict[EdgeType, EdgeIds] = {}
        for edge_type in true_targets:
            if not is_inverse(edge_type) and graph.manifest.edge(edge_type).hard_negatives:
                self._edges[edge_type] = EdgeIds.of(*graph.edges(edge_type), self.counts[edge_type[2]])
        if not self._edges:
            raise DataError(
                f"{graph.folder}: must have hard negatives of an edge type that is learnt (got none). Name their "
                "column in graph.edges[].hard_negatives and construct the graph, or choose another task.negatives.type"
            )

    def given(self, edge_type: EdgeType, source: IntArray, target: IntArray) -> IntArray | None:
        """See ListedNegatives."""
        if edge_type not in self._edges:
            return None
        return self.graph.hard_negatives(edge_type, self._edges[edge_type].find(source, target))
