"""What the relations of a task share: the graph around them, and what is computed of node types, once for all."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from graphstorm_like.baselines.terms import joined_texts, text_names, tfidf
from graphstorm_like.baselines.union import UnionGraph
from graphstorm_like.graph.store import NodeType

Made = TypeVar("Made")


class Shared:
    """union: all relations as one graph."""

    def __init__(self, union: UnionGraph) -> None:
        self.union, self.graph = union, union.graph
        self._made: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """What `make` gives, made at the first call with this key."""
        if key not in self._made:
            self._made[key] = make()
        made: Made = self._made[key]
        return made

    def count(self, node_type: NodeType) -> int:
        """Nodes of a type."""
        return self.graph.manifest.node(node_type).count

    def has_text(self, node_type: NodeType) -> bool:
        """Whether nodes of a type have texts."""
        return bool(text_names(self.graph, node_type))

    def terms(self, *node_types: NodeType) -> dict[NodeType, Any]:
        """Sparse TF-IDF rows [nodes, terms] of all nodes of some types, in columns that they share."""
        types = tuple(sorted(set(node_types)))
        return self.once(("terms", types), lambda: self._terms(types))

    def _terms(self, types: tuple[NodeType, ...]) -> dict[NodeType, Any]:
        texts = [text for node_type in types for text in joined_texts(self.graph, node_type)]
        rows, found, first = tfidf(texts), {}, 0
        for node_type in types:
            found[node_type] = rows[first : first + self.count(node_type)]
            first += self.count(node_type)
        return found
