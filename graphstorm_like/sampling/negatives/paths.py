"""Weighted paths through sparse tables: what mining by words, by common neighbours and by walks have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.base import EdgeType
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.ranges import ranges
from graphstorm_like.sampling.true_targets import TrueTargets

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """A sparse matrix as CSR: row i has `columns` and `weights` from starts[i] to starts[i + 1]."""

    starts: IntArray
    columns: IntArray
    weights: Numbers

    @staticmethod
    def of(rows: IntArray, columns: IntArray, weights: Numbers, count: int) -> Table:
        """Of entries in any order. count: rows in all."""
        order = np.argsort(rows, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=count))])
        return Table(starts, columns[order], weights[order])

    def steps(self, rows: IntArray, at: IntArray, mass: Numbers) -> tuple[IntArray, IntArray, Numbers]:
        """From places `at`, of which each belongs to one of `rows` and has a mass, along all entries: rows, columns and
        mass * weight."""
        count = self.starts[at + 1] - self.starts[at]
        entries, _ = ranges(self.starts[at], count)
        return np.repeat(rows, count), self.columns[entries], np.repeat(mass, count) * self.weights[entries]


@dataclass(frozen=True)
class Neighbors:
    """All relations of the training graph as one undirected graph over all nodes, without the edges that message
    passing may not see; nodes with more than `most` neighbours have none to go on to. first: number of the first node
    of each type. degrees [nodes]: of all of them."""

    table: Table
    first: Mapping[NodeType, int]
    degrees: IntArray

    @staticmethod
    def of(graph: Graph, most: int, learnt: Mapping[EdgeType, TrueTargets]) -> Neighbors:
        """Of a graph; several edges between two nodes are one. learnt: the training edges of the relations that are
        learnt; no others of these count, for messages may pass held-out ones once they are past."""
        first: dict[NodeType, int] = {}
        total = 0
        for name, node in graph.manifest.nodes.items():
            first[name] = total
            total += node.count
        pairs = [np.empty((2, 0), dtype=np.int64)]
        for edge in graph.manifest.edges:
            if not edge.is_reverse:
                ends = (
                    learnt[edge.edge_type].all_pairs()
                    if edge.edge_type in learnt
                    else shown_ends(graph, edge.edge_type)
                )
                starts = first[edge.edge_type[0]], first[edge.edge_type[2]]
                pairs.append(np.stack([ends[0] + starts[0], ends[1] + starts[1]]))
        one, other = np.concatenate(pairs, axis=1)
        keys = np.unique(np.concatenate([one * total + other, other * total + one]))
        rows, columns = keys // total, keys % total
        rows, columns = rows[rows != columns], columns[rows != columns]
        degrees = np.bincount(rows, minlength=total)
        keep = degrees[rows] <= most
        return Neighbors(Table.of(rows[keep], columns[keep], np.ones(int(keep.sum())), total), first, degrees)

    def columns(self, node_type: NodeType, count: int) -> slice:
        """The numbers of the nodes of a type."""
        return slice(self.first[node_type], self.first[node_type] + count)


def shown_ends(graph: Graph, edge_type: EdgeType) -> tuple[IntArray, IntArray]:
    """(source, target) of the edges that pass messages."""
    source, target = graph.edges(edge_type)
    shown = np.ones(len(source), dtype=bool)
    shown[graph.hidden_rows(edge_type)] = False
    return source[shown], target[shown]
