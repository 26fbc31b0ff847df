"""Neighbours of every node in one relation: CSC files as they are, or a copy by source on disk.

The copy is made in two readings of the edges, with memory for the nodes (16 bytes each) and for one piece of the edges.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gconstruct.partitioners.base import OpenedGraph
from graphstorm_like.config.base import edge_name
from graphstorm_like.graph.schema import SOURCE_COLUMN, TARGET_COLUMN, EdgeTypeSchema

_EDGES = 1 << 22
"""Edges that are sorted at a time: about 200 MB."""


@dataclass(frozen=True, slots=True)
class NeighbourLists:
    """ends[indptr[i] : indptr[i + 1]] are the neighbours of node `first_node` + i."""

    indptr: np.ndarray
    ends: np.ndarray
    first_node: int
    is_stored: bool = True
    """Whether the graph folder has these edges with these nodes"""

    def pointers(self, start: int, stop: int) -> np.ndarray:
        """int64 (stop - start + 1): into `ends`, of nodes start..stop-1."""
        pointers: np.ndarray = self.indptr[start - self.first_node : stop - self.first_node + 1]
        return pointers


def transposed(graph: OpenedGraph, edge: EdgeTypeSchema, path: Path) -> NeighbourLists:
    """The targets of every source of an edge type. path: a new file."""
    count = graph.nodes[edge.edge_type[0]].count
    indptr = np.zeros(count + 1, np.int64)
    for source, _ in _pieces(graph, edge):
        np.add.at(indptr, source.astype(np.int64) + 1, 1)
    np.cumsum(indptr, out=indptr)
    if edge.count == 0:
        return NeighbourLists(indptr, np.empty(0, np.int32), 0, False)
    free = indptr[:-1].copy()
    ends = None
    for source, target in _pieces(graph, edge):
        if ends is None:
            ends = np.memmap(path, target.dtype, "w+", shape=(edge.count,))
        order = np.argsort(source, kind="stable")
        sources, firsts, sizes = np.unique(source[order], return_index=True, return_counts=True)
        ends[np.repeat(free[sources] - firsts, sizes) + np.arange(len(order))] = target[order]
        free[sources] += sizes
    assert ends is not None, "an edge type with edges has a piece of them"
    return NeighbourLists(indptr, ends, 0, False)


def _pieces(graph: OpenedGraph, edge: EdgeTypeSchema) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(sources, targets) of at most _EDGES edges at a time."""
    for part in graph.files.partitions:
        rows = graph.files.open_file(part, part.edge_files[edge_name(edge.edge_type)])
        columns = [rows.column(name).to_numpy() for name in (SOURCE_COLUMN, TARGET_COLUMN)]
        for at in range(0, len(columns[0]), _EDGES):
            source, target = (column[at : at + _EDGES] for column in columns)
            yield source, target
