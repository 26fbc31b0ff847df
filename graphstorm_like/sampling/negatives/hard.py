"""Negatives that the table of edges gives: wrong targets that are hard to tell from the true one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.inverses import is_inverse
from graphstorm_like.config.negatives.hard import HardNegativesConfig
from graphstorm_like.errors import DataError
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.sampling.negatives.base import NEGATIVES, Negatives
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
class HardNegatives(Negatives):
    """See module."""

    def __init__(self, config: HardNegativesConfig, graph: Graph, true_targets: Mapping[EdgeType, TrueTargets]) -> None:
        self.config, self.graph = config, graph
        self._counts = {e[2]: graph.manifest.node(e[2]).count for e in true_targets}
        self._edges: dict[EdgeType, EdgeIds] = {}
        for edge_type in true_targets:
            if not is_inverse(edge_type) and graph.manifest.edge(edge_type).hard_negatives:
                self._edges[edge_type] = EdgeIds.of(*graph.edges(edge_type), self._counts[edge_type[2]])
        if not self._edges:
            raise DataError(
                f"{graph.folder}: must have hard negatives of an edge type that is learnt (got none). Name their "
                "column in graph.edges[].hard_negatives and construct the graph, or choose another task.negatives.type"
            )

    def draw(
        self,
        node_type: NodeType,
        edges: Mapping[EdgeType, tuple[IntArray, IntArray]],
        rng: np.random.Generator,
    ) -> IntArray:
        """See Negatives."""
        count = self._counts[node_type]
        parts = [rng.integers(count, size=self.config.uniform)]
        for edge_type, (sources, targets) in edges.items():
            order = np.lexsort((targets, sources))  # ranks have the edges of a step in orders of their own
            source, target = sources[order], targets[order]
            drawn = rng.integers(count, size=(len(source), self.config.per_edge))
            if edge_type in self._edges:
                given = self.graph.hard_negatives(edge_type, self._edges[edge_type].find(source, target))
                drawn = some_of_each(given, drawn, rng)
            of_edges = np.empty_like(drawn)
            of_edges[order] = drawn
            parts.append(of_edges.reshape(-1))
        return np.concatenate(parts)


def some_of_each(given: IntArray, instead: IntArray, rng: np.random.Generator) -> IntArray:
    """[N, k] different ones of each row of `given` [N, K], where -1 is none; `instead` [N, k] where there are fewer."""
    order: npt.NDArray[np.float64] = np.where(given >= 0, rng.random(given.shape), np.inf)
    places = np.argsort(order, axis=1)[:, : instead.shape[1]]
    chosen = np.full(instead.shape, -1)
    chosen[:, : places.shape[1]] = np.take_along_axis(given, places, axis=1)
    return np.where(chosen >= 0, chosen, instead)
