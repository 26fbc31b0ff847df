"""The graph alone: common neighbours, and walks of three steps, over all relations as one undirected graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from graphstorm_like.baselines.links.base import LinkBaseline, LinkData, Rows
from graphstorm_like.baselines.outcome import Setting
from graphstorm_like.graph.store import IntArray


class CommonNeighbours(LinkBaseline):
    """How many nodes have an edge to both ends; or these divided by their degrees (resource allocation, Zhou et al.
    2009), or by the logarithms of these (Adamic and Adar 2003)."""

    name = "common neighbours"

    def unfit(self, data: LinkData) -> str | None:
        """See LinkBaseline."""
        if (problem := data.union.unfit()) is not None:
            return problem
        source, target = _ends(data)
        if not (source.sum(axis=0) @ target.sum(axis=1)).sum():
            return "no node has edges to both a source and a target: see walks of three steps"
        return None

    def settings(self, data: LinkData) -> Iterator[Setting]:
        """See LinkBaseline."""
        degrees = np.diff(data.union.adjacency.indptr)
        weights = {
            "count": np.ones(len(degrees)),
            "by degree": 1.0 / np.maximum(degrees, 1),
            "by log degree": 1.0 / np.log(np.maximum(degrees, 2)),
        }
        for name, weight in weights.items():
            yield from data.ranked(name, _weighed(data, weight.astype(np.float32)))


class ThreeSteps(LinkBaseline):
    """The chance of a random walk of three steps to end at a target: targets of those who share a target, which finds
    something where two node types have edges to each other alone."""

    name = "walks of three steps"

    def unfit(self, data: LinkData) -> str | None:
        """See LinkBaseline."""
        return data.union.unfit()

    def settings(self, data: LinkData) -> Iterator[Setting]:
        """See LinkBaseline."""
        walk, first = data.union.walk, data.union.first[data.edge_type[0]]
        last = walk[:, data.union.columns(data.edge_type[2])].tocsr()

        def chances(sources: IntArray) -> Rows:
            return np.asarray((walk[first + sources] @ walk @ last).toarray(), dtype=np.float32)

        return data.ranked("chance", chances)


def _ends(data: LinkData) -> tuple[Any, Any]:
    """Sparse [sources, nodes] and [nodes, targets]."""
    adjacency = data.union.adjacency
    source, _, target = data.edge_type
    return adjacency[data.union.columns(source)], adjacency[:, data.union.columns(target)].tocsr()


def _weighed(data: LinkData, weight: Any) -> Any:
    import scipy.sparse as sp

    of_sources, of_targets = _ends(data)
    between = (sp.diags(weight) @ of_targets).tocsr()

    def scores(sources: IntArray) -> Rows:
        return np.asarray((of_sources[sources] @ between).toarray(), dtype=np.float32)

    return scores
