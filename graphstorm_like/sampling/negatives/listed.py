"""Negatives that each edge has a list of, besides targets drawn uniformly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.base import EdgeType
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.sampling.negatives.base import Negatives
from graphstorm_like.sampling.true_targets import TrueTargets


class ListedNegatives(Negatives):
    """`per_edge` of each edge's own list, drawn targets where it has fewer, and `uniform` more."""

    def __init__(self, config: Any, graph: Graph, true_targets: Mapping[EdgeType, TrueTargets]) -> None:
        self.config = config
        self.counts = {e[2]: graph.manifest.node(e[2]).count for e in true_targets}

    def given(self, edge_type: EdgeType, source: IntArray, target: IntArray) -> IntArray | None:
        """The lists [N, K] of N edges of a relation; -1: none. None: the relation has no lists."""
        raise NotImplementedError

    def draw(
        self,
        node_type: NodeType,
        edges: Mapping[EdgeType, tuple[IntArray, IntArray]],
        rng: np.random.Generator,
    ) -> IntArray:
        """See Negatives."""
        count = self.counts[node_type]
        parts = [rng.integers(count, size=self.config.uniform)]
        for edge_type, (sources, targets) in edges.items():
            order = np.lexsort((targets, sources))  # ranks have the edges of a step in orders of their own
            drawn = rng.integers(count, size=(len(order), self.config.per_edge))
            given = self.given(edge_type, sources[order], targets[order])
            if given is not None:
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
