"""`encode: degree`"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.features.structure import StructureFeature


class DegreeFeature(StructureFeature):
    """How many edges a node has: a number for each edge type and end, or one in all."""

    encode: Literal["degree"]
    ends: Literal["both", "in", "out"] = "both"
    """Count edges that lead to the node (in), that start at it (out), or both, each by itself."""
    total: bool = False
    """The sum of these numbers instead of the numbers."""
    log1p: bool = True
    """Take log(1 + x)."""
    normalize: Literal["standard", "none"] = "standard"
    """(x - mean) / std over all nodes of the type, or as it is."""

    def counted_ends(self, node_type: str, edge_types: Sequence[EdgeType]) -> list[tuple[EdgeType, str]]:
        """(edge type, 'in' or 'out') of each number, sorted by edge type."""
        counted = []
        for edge_type in self.chosen_edges(edge_types):
            for end, at in (("out", edge_type[0]), ("in", edge_type[2])):
                if at == node_type and self.ends in ("both", end):
                    counted.append((edge_type, end))
        return counted

    def check_edges(
        self, node_type: str, edge_types: Sequence[EdgeType]
    ) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Also when there is nothing to count."""
        wrong = list(super().check_edges(node_type, edge_types))
        yield from wrong
        if not wrong and not self.counted_ends(node_type, edge_types):
            yield ("encode",), f"must have an edge type to count at nodes of type {node_type!r} (got none). Remove it"
