"""What tasks about links share: the candidates to rank among."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from graphstorm_like.config.base import EdgeType, PositiveInt, Strict
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.metrics import HitsConfig, MetricConfig, MrrConfig
from graphstorm_like.config.problems import Problem

RANKING_METRICS: list[MetricConfig] = [
    MrrConfig(type="mrr"),
    HitsConfig(type="hits", k=1),
    HitsConfig(type="hits", k=10),
]


class RankingConfig(Strict):
    """How links are ranked: the true target among candidates, other true targets filtered out."""

    candidates: PositiveInt | Literal["all", "given"] = "all"
    """all nodes of the target type, or this many drawn uniformly per edge; given: those that the table gives each edge,
    `graph.edges[].hard_negatives`, the fixed candidates of a benchmark."""
    exclude_source: bool = True
    """Where both ends are of one node type: whether to leave out the source itself. true suits relations that no
    node has to itself (recommendations, citations); false is the protocol of knowledge graphs, whose numbers are lower,
    for a source is often the likeliest answer."""

    def check(self, graph: GraphConfig, edge_types: Iterable[EdgeType]) -> Iterator[Problem]:
        """What a graph lacks for the candidates of these relations; paths begin at `ranking`."""
        for edge_type in edge_types if self.candidates == "given" else ():
            edge = graph.edge(edge_type)
            if edge is not None and edge.split is not None and edge.hard_negatives is None:
                key = graph.edge_key(graph.edges.index(edge))
                yield ("candidates",), f"must be all or a number, or {key}.hard_negatives must be there (got 'given')"
