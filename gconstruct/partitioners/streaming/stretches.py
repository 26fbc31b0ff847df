"""A graph folder as one undirected graph, of which stretches of consecutive nodes are read with all of their edges.

In: memory-mapped CSC files of all relations and partitions. Out: for nodes start..stop-1 of a type, the neighbours as
(row in the stretch, type, position). Nothing is kept in memory. An edge is seen once from each of its ends: from the
target in its own relation, from the source in the reverse relation or, where there is none, in a transposed copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from gconstruct.opened import GraphFiles
from gconstruct.partitioners.base import OpenedGraph
from gconstruct.partitioners.streaming.transposed import NeighbourLists, transposed
from graphstorm_like.config.base import edge_name
from graphstorm_like.graph.schema import (
    SOURCE_COLUMN,
    SPLITS,
    EdgeTypeSchema,
    PartitionSchema,
    indptr_file,
    label_split_column,
)

EDGES = 1 << 20
"""Read at a time: a node may have more."""
_TRAIN = SPLITS.index("train")


class Neighbours(NamedTuple):
    """Ends of the m edges of one relation at the nodes of a stretch."""

    rows: np.ndarray
    """int64 (m): which node of the stretch, from 0"""
    node_type: str
    """Of the neighbours"""
    positions: np.ndarray
    """int (m): the neighbours"""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Nodes start..stop-1 of a type, all in the same partition of the graph folder."""

    node_type: str
    start: int
    stop: int
    lists: Sequence[tuple[str, NeighbourLists]]
    """(type of the neighbours, neighbours) of each relation"""
    splits: Sequence[np.ndarray]
    """uint8: the split of each label, of all nodes from `first_row` on"""
    first_row: int

    def __len__(self) -> int:
        return self.stop - self.start

    def cut(self, size: int) -> Iterator[Stretch]:
        """The same in pieces of at most `size` nodes."""
        for start in range(self.start, self.stop, size):
            yield replace(self, start=start, stop=min(start + size, self.stop))

    def neighbours(self) -> Iterator[Neighbours]:
        """Of each relation that has any here, at most EDGES at a time, without self-loops."""
        for node_type, lists in self.lists:
            pointers = lists.pointers(self.start, self.stop)
            for first in range(int(pointers[0]), int(pointers[-1]), EDGES):
                last = min(first + EDGES, int(pointers[-1]))
                rows = np.repeat(np.arange(len(self)), np.diff(np.clip(pointers, first, last)))
                positions = lists.ends[first:last]
                if node_type == self.node_type:
                    proper = positions != rows + self.start
                    rows, positions = rows[proper], positions[proper]
                yield Neighbours(rows, node_type, positions)

    def stored_edges(self) -> np.ndarray:
        """int64 (nodes): the edges that lie with each node, those into it, reverse types included."""
        return self._degrees([lists for _, lists in self.lists if lists.is_stored])

    def degrees(self) -> np.ndarray:
        """int64 (nodes): the edges at each node, in both directions."""
        return self._degrees([lists for _, lists in self.lists])

    def _degrees(self, of: Sequence[NeighbourLists]) -> np.ndarray:
        total = np.zeros(len(self), np.int64)
        for lists in of:
            total += np.diff(lists.pointers(self.start, self.stop))
        return total

    def is_training(self) -> np.ndarray:
        """bool (nodes): whether a label has it in its training split."""
        trained = np.zeros(len(self), bool)
        for splits in self.splits:
            trained |= splits[self.start - self.first_row : self.stop - self.first_row] == _TRAIN
        return trained


def stretches(graph: OpenedGraph) -> list[Stretch]:
    """All nodes: a stretch for each type and partition of the folder. Transposed copies of relations without a reverse
    go to `graph.scratch`: 4 bytes an edge (8 for types of 2**31 nodes or more)."""
    by_source: dict[str, list[tuple[str, NeighbourLists]]] = {name: [] for name in graph.nodes}
    for number, edge in enumerate(graph.edges):
        if edge.reverse is None and not edge.is_reverse:
            source, _, target = edge.edge_type
            by_source[source].append((target, transposed(graph, edge, graph.scratch / f"transposed-{number}")))
    return [
        _stretch(graph, part, node_type, by_source[node_type])
        for part in graph.files.partitions
        for node_type in graph.nodes
    ]


def _stretch(
    graph: OpenedGraph, part: PartitionSchema, node_type: str, by_source: Sequence[tuple[str, NeighbourLists]]
) -> Stretch:
    files, (start, stop) = graph.files, part.node_ranges[node_type]
    into = [
        (edge.edge_type[0], _lists(files, part, edge, start)) for edge in graph.edges if edge.edge_type[2] == node_type
    ]
    rows = files.open_file(part, part.node_files[node_type])
    splits = [rows.column(label_split_column(label)).to_numpy() for label in graph.nodes[node_type].labels]
    return Stretch(node_type, start, stop, [*into, *by_source], splits, start)


def _lists(files: GraphFiles, part: PartitionSchema, edge: EdgeTypeSchema, start: int) -> NeighbourLists:
    file = part.edge_files[edge_name(edge.edge_type)]
    indptr = files.open_file(part, indptr_file(file)).column(0).to_numpy()
    return NeighbourLists(indptr, files.open_file(part, file).column(SOURCE_COLUMN).to_numpy(), start)


def interleaved(all_stretches: Sequence[Stretch], sizes: Mapping[str, int], counts: Mapping[str, int]) -> list[Stretch]:
    """The stretches in pieces of at most sizes[type] nodes, in an order in which all types advance together."""
    pieces = [piece for stretch in all_stretches for piece in stretch.cut(sizes[stretch.node_type])]
    pieces.sort(key=lambda piece: piece.start / counts[piece.node_type])
    return pieces
