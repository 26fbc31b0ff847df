"""Passes over all nodes: each goes to the partition with the best score, which depends on where its neighbours are.

Nodes are read in pieces, and their neighbours counted by partition [n, P]; then they are placed in smaller groups, each
of which sees how full the partitions became by the one before. Neighbours within a piece are seen where they were
before it: the price of array operations instead of a loop over nodes. docs/benchmarks/partitions.md measures it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from gconstruct.partitioners.base import Assignment, OpenedGraph
from gconstruct.partitioners.streaming.balance import Balance
from gconstruct.partitioners.streaming.placing import place
from gconstruct.partitioners.streaming.stretches import EDGES, Stretch, interleaved, stretches
from graphstorm_like.config.partitioners import StreamingPartitions

Score = Callable[[np.ndarray, np.ndarray, float], np.ndarray]
"""(counts [n, P], fullness [P], mean degree) -> scores [n, P]. counts: neighbours in each partition; fullness: 1 is the
mean load; mean degree: of the nodes of this class."""

PIECES, LARGEST, COUNTS = 256, 4096, 1 << 22
"""A type is read in so many pieces or more, of at most so many nodes and numbers in `counts`."""
_GROUPS = 16
"""A partition is filled by so many groups or more."""
_FEW = 0.001
"""Share of the nodes: when fewer move in a pass, it was the last."""


def stream(graph: OpenedGraph, config: StreamingPartitions, score: Score) -> Assignment:
    """Partitions by passes over the edges. Memory: 4 bytes per node, and 8 per source of relations without a reverse.

    The shares that it tells are of edges whose ends were together when they were placed; the last report is exact.
    """
    counts = {name: node.count for name, node in graph.nodes.items()}
    largest = max(min(LARGEST, COUNTS // config.count), 1)
    sizes = {name: min(max(-(-count // PIECES), 1), largest) for name, count in counts.items()}
    pieces = interleaved(stretches(graph), sizes, counts)
    balance = Balance(config, list(graph.nodes), pieces)
    parts = {name: np.full(count, -1, np.int32) for name, count in counts.items()}
    passes = _Passes(config, score, balance, parts)
    for number in range(1, config.passes + 1):
        moved, together = passes.run(pieces)
        graph.say(f"{config.method}, pass {number}: {moved:,} nodes moved, {together:.1%} of the edges are local")
        if moved <= _FEW * sum(counts.values()):
            break
    return parts


class _Passes:
    def __init__(self, config: StreamingPartitions, score: Score, balance: Balance, parts: Assignment) -> None:
        self._count, self._score, self._balance, self._parts = config.count, score, balance, parts
        self._rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([config.seed])))

    def run(self, pieces: Sequence[Stretch]) -> tuple[int, float]:
        """One pass. Returns how many nodes moved, and the share of the edges that are within a partition."""
        moved = together = edges = 0
        for piece in pieces:
            counts = neighbour_counts(piece, self._parts, self._count)
            before = self._parts[piece.node_type][piece.start : piece.stop].copy()
            self._place(piece, before, counts)
            after = self._parts[piece.node_type][piece.start : piece.stop]
            moved += int(np.count_nonzero(before != after))
            together += int(counts[np.arange(len(piece)), after].sum())
            edges += int(counts.sum())
        return moved, together / max(edges, 1)

    def _place(self, piece: Stretch, before: np.ndarray, counts: np.ndarray) -> None:
        of, weights = self._balance.classes(piece), piece.stored_edges()
        for number in np.unique(of).tolist():
            rows = np.flatnonzero(of == number)
            if before[0] >= 0:  # in the first pass nobody is anywhere
                self._balance.move(number, before[rows], weights[rows], -1)
            size = max(int(self._balance.most[number]) // _GROUPS, 1)
            for at in range(0, len(rows), size):
                group = rows[at : at + size]
                parts = self._best(number, counts[group], weights[group])
                self._balance.move(number, parts, weights[group], 1)
                self._parts[piece.node_type][piece.start + group] = parts

    def _best(self, number: int, counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """int64 (n): partitions of n nodes of one class."""
        balance = self._balance
        scores = self._score(counts, balance.fullness(number), float(balance.degrees[number]))
        scores += self._rng.random(scores.shape) * 1e-6  # equal scores are drawn from
        room = balance.most[number] - balance.nodes[number]
        return place(scores, room, weights, balance.most_edges - balance.edges)


def neighbour_counts(piece: Stretch, parts: Mapping[str, np.ndarray], count: int) -> np.ndarray:
    """int64 (nodes, count): how many neighbours each node of the piece has in each partition."""
    counts = np.zeros(len(piece) * count, np.int64)
    keys: list[np.ndarray] = []
    for rows, node_type, positions in piece.neighbours():
        of = parts[node_type][positions]
        placed = of >= 0
        keys.append(rows[placed] * count + of[placed])
        if sum(map(len, keys)) >= EDGES:
            counts += np.bincount(np.concatenate(keys), minlength=len(counts))
            keys = []
    if keys:
        counts += np.bincount(np.concatenate(keys), minlength=len(counts))
    return counts.reshape(-1, count)
