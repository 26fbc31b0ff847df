"""The graph alone: common neighbours, and walks of three steps, over all relations as one undirected graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphstorm_like.baselines.links.base import LINKS, LinkBaseline
from graphstorm_like.baselines.links.relation import Relation, Rows, Scorer
from graphstorm_like.graph.store import IntArray


@LINKS.register
class CommonNeighbours(LinkBaseline):
    """How many nodes have an edge to both ends; or these divided by their degrees (resource allocation, Zhou et al.
    2009), or by the logarithms of these (Adamic and Adar 2003)."""

    name, reads = "common neighbours", "graph"
    ways = ("count", "by degree", "by log degree")

    def lacks(self, relation: Relation) -> str | None:
        """See LinkBaseline."""
        source, _, target = relation.edge_type
        return relation.shared.union.unfit() or relation.shared.once(
            ("common", source, target), lambda: _without_common(relation)
        )

    def scorer(self, relation: Relation, way: str) -> Scorer:
        """See LinkBaseline."""
        of_sources, _ = _ends(relation)
        between = relation.shared.once((way, relation.edge_type[2]), lambda: _weighed(relation, way))

        def scores(sources: IntArray) -> Rows:
            return np.asarray((of_sources[sources] @ between).toarray(), dtype=np.float32)

        return scores


@LINKS.register
class ThreeSteps(LinkBaseline):
    """The chance of a random walk of three steps to end at a target: targets of those who share a target, which finds
    something where two node types have edges to each other alone."""

    name, reads = "walks of three steps", "graph"
    ways = ("chance",)

    def lacks(self, relation: Relation) -> str | None:
        """See LinkBaseline."""
        return relation.shared.union.unfit()

    def scorer(self, relation: Relation, way: str) -> Scorer:
        """See LinkBaseline."""
        source, _, target = relation.edge_type
        union, shared = relation.shared.union, relation.shared
        last = shared.once(("last step", target), lambda: union.walk[:, union.columns(target)].tocsr())

        def chances(sources: IntArray) -> Rows:
            steps = union.walk[union.first[source] + sources] @ union.walk
            return np.asarray((steps @ last).toarray(), dtype=np.float32)

        return chances


def _without_common(relation: Relation) -> str | None:
    source, target = _ends(relation)
    if not (source.sum(axis=0) @ target.sum(axis=1)).sum():
        return "no node has edges to both a source and a target: see walks of three steps"
    return None


def _ends(relation: Relation) -> tuple[Any, Any]:
    """Sparse [sources, nodes] and [nodes, targets]."""
    union, shared = relation.shared.union, relation.shared
    source, _, target = relation.edge_type
    of_sources = shared.once(("from", source), lambda: union.adjacency[union.columns(source)])
    return of_sources, shared.once(("to", target), lambda: union.adjacency[:, union.columns(target)].tocsr())


def _weighed(relation: Relation, way: str) -> Any:
    """Edges [nodes, targets], each times the weight of the node that it leads from."""
    import scipy.sparse as sp

    degrees = np.diff(relation.shared.union.adjacency.indptr)
    weights = {
        "count": np.ones(len(degrees)),
        "by degree": 1.0 / np.maximum(degrees, 1),
        "by log degree": 1.0 / np.log(np.maximum(degrees, 2)),
    }
    _, of_targets = _ends(relation)
    return (sp.diags(weights[way].astype(np.float32)) @ of_targets).tocsr()
