"""What features of the graph's own structure share: they are made of edges, not of columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Self

from graphstorm_like.config.base import EdgeType, EdgeTypeField, edge_name
from graphstorm_like.config.features.base import FeatureConfig
from graphstorm_like.errors import unknown


class StructureFeature(FeatureConfig):
    """A feature of nodes that their edges give, also of node types without a table. Edges for validation and test of an
    edge type with a split do not count, so that nothing of what is to be predicted leaks in."""

    of_columns: ClassVar[bool] = False

    edges: list[EdgeTypeField] | None = None
    """The edge types that count, as `graph.edges` names them. Default: all."""

    def in_table(self, id_column: str | None) -> Self:
        """Only of nodes."""
        if id_column is None:
            raise ValueError(f"must be a feature of nodes (got encode: {self.encode}). Move it to a node type")
        return self

    def check_edges(
        self, node_type: str, edge_types: Sequence[EdgeType]
    ) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Edge types must be in the graph."""
        for i, edge_type in enumerate(self.edges or ()):
            if edge_type not in edge_types:
                message = unknown("", "edge type", edge_name(edge_type), map(edge_name, edge_types))
                yield ("edges", i), message.removeprefix(": ")

    def chosen_edges(self, edge_types: Sequence[EdgeType]) -> list[EdgeType]:
        """The edge types that count, sorted: another graph may name them in another order."""
        return [edge_type for edge_type in sorted(edge_types) if self.edges is None or edge_type in self.edges]
