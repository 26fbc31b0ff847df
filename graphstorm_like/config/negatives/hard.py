"""`task.negatives.type: hard`"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from graphstorm_like.config.base import EdgeType, PositiveInt
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.negatives.base import NegativesConfig
from graphstorm_like.config.problems import Problem


class HardNegativesConfig(NegativesConfig):
    """Wrong targets that the table of edges gives: `graph.edges[].hard_negatives`. The edges of a batch share them."""

    chances_known: ClassVar[bool] = False

    type: Literal["hard"]
    per_edge: PositiveInt = 1
    """This many are drawn of each edge's; nodes drawn uniformly take the place of those that an edge lacks."""
    uniform: Annotated[int, Field(ge=0)] = 0
    """This many targets drawn uniformly besides, shared by the batch."""

    def check(self, graph: GraphConfig, edge_types: Iterable[EdgeType]) -> Iterator[Problem]:
        """One of the relations must have hard negatives."""
        edge_types = list(edge_types)
        yield from super().check(graph, edge_types)
        edges = [edge for edge_type in edge_types if (edge := graph.edge(edge_type)) is not None]
        if edges and not any(edge.hard_negatives for edge in edges):
            number = graph.edges.index(edges[0])
            yield ("type",), f"must have a column to take them from. Add graph.edges[{number}].hard_negatives"
