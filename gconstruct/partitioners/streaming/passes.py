"""Passes over all nodes: each goes to the partition with the best score, which depends on where its neighbours are.

Nodes are read in pieces, and their neighbours counted by partition [n, P]; then they are placed in smaller groups, each
of which sees how full the partitions became by the one before. Neighbours within a piece are seen where they were
before it: the price of array operations instead of a loop over nodes, measured in docs/benchmarks/construction.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from gconstruct.partitioners.base import Assignment, OpenedGraph
from gconstruct.partitioners.streaming.balance import Balance
from gconstruct.partitioners.streaming.placing import place
from gconstruct.partitioners.streaming.stretches import Stretch, interleaved, stretches
from graphstorm_like.config.partitioners.streaming import StreamingPartitions

Score = Callable[[np.ndarray, np.ndarray, float], np.ndarray]
"""(counts [n, P], fullness [P], mean degree) -> scores [n, P]. counts: neighbours in each partition; fullness: 1 is the
mean load; mean degree: of the nodes of this class."""

_PIECES, _LARGEST = 64, 4096
"""A type is read in this many pieces or more, of at most so many nodes."""
_GROUPS = 16
"""A partition is filled by this many groups or more."""
_FEW = 0.001
"""Share of the nodes; when fewer move in a pass, it was the last."""


def stream(graph: OpenedGraph, config: StreamingPartitions, score: Score) -> Assignment:
    """Partitions by passes over the edges. Memory: 4 bytes per node, and 8 per node and relation without a reverse."""
    counts = {name: node.count for name, node in graph.nodes.items()}
    sizes = {name: min(max(-(-count // _PIECES), 1), _LARGEST) for name, count in counts.items()}
    pieces = interleaved(stretches(graph), sizes, counts)
    balance = Balance(config, list(graph.nodes), pieces)
    parts = {name: np.full(count, -1, np.int32) for name, count in counts.items()}
    state = _Passes(config, score, balance, parts)
    for number in range(config.passes):
        moved = state.run(pieces)
        graph.say(f"pass {number + 1}: {moved:,} nodes moved")
        if moved <= _FEW * sum(counts.values()):
            break
    return parts


class _Passes:
    def __init__(self, config: StreamingPartitions, score: Score, balance: Balance, parts: Assignment) -> None:
        self._count, self._score, self._balance, self._parts = config.count, score, balance, parts
        self._rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([config.seed])))

    def run(self, pieces: Sequence[Stretch]) -> int:
        """One pass; returns how many nodes moved."""
        return sum(self._place(piece) for piece in pieces)

    def _place(self, piece: Stretch) -> int:
        of, weights = self._balance.classes(piece), piece.stored_edges()
        before = self._parts[piece.node_type][piece.start : piece.stop].copy()
        counts = neighbour_counts(piece, self._parts, self._count)
        for number in np.unique(of):
            rows = np.flatnonzero(of == number)
            if before[0] >= 0:
                self._balance.move(number, before[rows], weights[rows], -1)
            size = max(self._balance.most[number] // _GROUPS, 1)
            for at in range(0, len(rows), size):
                self._place_group(piece, number, rows[at : at + size], counts, weights)
        return int(np.count_nonzero(self._parts[piece.node_type][piece.start : piece.stop] != before))

    def _place_group(
        self, piece: Stretch, number: int, rows: np.ndarray, counts: np.ndarray, weights: np.ndarray
    ) -> None:
        balance = self._balance
        scores = self._score(counts[rows], balance.fullness(number), float(balance.degrees[number]))
        scores += self._rng.random(scores.shape) * 1e-6
        weight_room = balance.most_edges - balance.edges
        parts = place(scores, balance.most[number] - balance.nodes[number], weights[rows], weight_room)
        balance.move(number, parts, weights[rows], 1)
        self._parts[piece.node_type][piece.start + rows] = parts


def neighbour_counts(piece: Stretch, parts: Mapping[str, np.ndarray], count: int) -> np.ndarray:
    """float64 (nodes, count): how many neighbours each node of the piece has in each partition."""
    keys = [np.empty(0, np.int64)]
    for rows, node_type, positions in piece.neighbours():
        of = parts[node_type][positions]
        placed = of >= 0
        keys.append(rows[placed] * count + of[placed])
    return np.bincount(np.concatenate(keys), minlength=len(piece) * count).reshape(-1, count).astype(np.float64)
