"""Ends of the edges of a relation or of its inverse (`config.inverses`), which the graph stores once."""

from __future__ import annotations

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.inverses import is_inverse, stored
from graphstorm_like.graph.store import GraphStore, IntArray
from graphstorm_like.pending import Pending


def directed_edges(graph: GraphStore, edge_type: EdgeType, rows: IntArray | None = None) -> tuple[IntArray, IntArray]:
    """(source ids, target ids) of some edges, or of all: those of an inverse relation are swapped."""
    if not is_inverse(edge_type):
        return graph.edges(edge_type, rows)
    source, target = graph.edges(stored(edge_type), rows)
    return target, source


def begin_directed_edges(graph: GraphStore, edge_type: EdgeType, rows: IntArray) -> Pending[tuple[IntArray, IntArray]]:
    """Start to read the same; reads that start together travel in one message."""
    pending = graph.begin_edges(stored(edge_type), rows)
    return pending.then(lambda ends: ends[::-1]) if is_inverse(edge_type) else pending
