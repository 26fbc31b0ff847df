"""Inverse relations: of an edge type (s, r, t) the inverse (t, r^-1, s), whose edges are the same ones, swapped.

An inverse is a relation to learn and to rank, never one of the graph: nothing passes messages along it (the graph's
own reverse edges, `<relation>_rev`, do). Names in a YAML have no '^', so that it cannot be mistaken for another.
"""

from __future__ import annotations

from graphstorm_like.config.base import EdgeType

MARK = "^-1"


def inverse_of(edge_type: EdgeType) -> EdgeType:
    """The inverse of an edge type of the graph."""
    source, relation, target = edge_type
    return target, relation + MARK, source


def is_inverse(edge_type: EdgeType) -> bool:
    """Whether it is the inverse of an edge type of the graph."""
    return edge_type[1].endswith(MARK)


def stored(edge_type: EdgeType) -> EdgeType:
    """The edge type of the graph that a relation's edges are of: itself, or what it is the inverse of."""
    if not is_inverse(edge_type):
        return edge_type
    source, relation, target = edge_type
    return target, relation.removesuffix(MARK), source
