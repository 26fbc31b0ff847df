"""All relations of a graph as one undirected graph over all nodes: what simple models of a graph read.

Edges that the task hides (validation and test edges of a predicted relation) are not in it.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from graphstorm_like.graph.store import Graph, IntArray, NodeType

MOST_EDGES = 100_000_000
"""Beyond, a matrix of the graph takes more than some 3 GB."""


class UnionGraph:
    """first: position of the first node of each type among all nodes."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.first: dict[NodeType, int] = {}
        total = 0
        for name, node in graph.manifest.nodes.items():
            self.first[name] = total
            total += node.count
        self.count = total
        self.edges = sum(edge.count for edge in graph.manifest.edges if not edge.is_reverse)

    def unfit(self) -> str | None:
        """Why nothing can be computed on it; None: it can."""
        if not self.edges:
            return "the graph has no edges"
        if self.edges > MOST_EDGES:
            return f"the graph has {self.edges:,} edges, more than {MOST_EDGES:,}"
        return None

    def columns(self, node_type: NodeType) -> slice:
        """Positions of the nodes of a type."""
        first = self.first[node_type]
        return slice(first, first + self.graph.manifest.node(node_type).count)

    @cached_property
    def adjacency(self) -> Any:
        """Sparse [nodes, nodes], 1 where two nodes have an edge in any relation and direction, else 0."""
        import scipy.sparse as sp

        rows, columns = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        for edge in self.graph.manifest.edges:
            if not edge.is_reverse:
                sources, targets = self._shown(edge.edge_type)
                rows.append(sources + self.first[edge.edge_type[0]])
                columns.append(targets + self.first[edge.edge_type[2]])
        one, other = np.concatenate(rows), np.concatenate(columns)
        ones = np.ones(len(one), dtype=np.float32)
        directed = sp.csr_matrix((ones, (one, other)), shape=(self.count, self.count))
        both = (directed + directed.T).tocsr()
        both.setdiag(0)
        both.eliminate_zeros()
        both.data[:] = 1.0
        return both

    @cached_property
    def walk(self) -> Any:
        """The adjacency with rows that sum up to 1 (0 for nodes without edges): a step to a random neighbour."""
        import scipy.sparse as sp

        degrees = np.diff(self.adjacency.indptr)
        return (sp.diags((1.0 / np.maximum(degrees, 1)).astype(np.float32)) @ self.adjacency).tocsr()

    def _shown(self, edge_type: tuple[str, str, str]) -> tuple[IntArray, IntArray]:
        """Ends of the edges of a type that pass messages."""
        sources, targets = self.graph.edges(edge_type)
        shown = np.ones(len(sources), dtype=bool)
        shown[self.graph.hidden_rows(edge_type)] = False
        return sources[shown], targets[shown]
