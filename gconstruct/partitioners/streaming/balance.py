"""How full the partitions are, and how full they may become.

Every node is in one class: of its type, of training nodes or others, of both, or there is one class of all (see
`balance` in the configuration). A partition has at most `most[class]` of each: ceil((1 + slack) * nodes / partitions).
As classes do not overlap there is always room somewhere. Edges are limited too where the classes leave a choice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gconstruct.partitioners.streaming.stretches import Stretch
from graphstorm_like.config.partitioners import StreamingPartitions


class Balance:
    """Loads of P partitions: nodes of C classes [C, P] and edges [P]."""

    def __init__(self, config: StreamingPartitions, types: Sequence[str], pieces: Sequence[Stretch]) -> None:
        self._types = {name: number for number, name in enumerate(types)}
        self._by_type, self._by_train = "types" in config.balance, "train" in config.balance
        self.with_edges = "edges" in config.balance
        classes = 2 * len(types)
        self.sizes, ends = np.zeros(classes, np.int64), np.zeros(classes)
        edges = 0
        for piece in pieces:
            of = self.classes(piece)
            self.sizes += np.bincount(of, minlength=classes)
            ends += np.bincount(of, piece.degrees(), minlength=classes)
            edges += int(piece.stored_edges().sum())
        self.degrees = ends / np.maximum(self.sizes, 1)
        """Mean number of edges at the nodes of each class [C]"""
        room, count = 1 + config.slack, config.count
        self.most = np.array([math.ceil(room * size / count - 1e-9) for size in self.sizes.tolist()])
        """Nodes of each class that a partition may have [C]"""
        self.most_edges = (1 + config.edge_slack) * edges / count if self.with_edges else math.inf
        self._mean_edges = max(edges / count, 1.0)
        self.nodes = np.zeros((classes, count), np.int64)
        self.edges = np.zeros(count, np.int64)

    def classes(self, piece: Stretch) -> np.ndarray:
        """int64 (nodes): the class of each node."""
        base = 2 * self._types[piece.node_type] if self._by_type else 0
        of = np.full(len(piece), base)
        if self._by_train:
            of += piece.is_training()
        return of

    def fullness(self, of: int) -> np.ndarray:
        """float (P): load over mean load, for nodes of a class; with edges the mean of both."""
        nodes: np.ndarray = self.nodes[of] * (self.nodes.shape[1] / max(int(self.sizes[of]), 1))
        return (nodes + self.edges / self._mean_edges) / 2 if self.with_edges else nodes

    def move(self, of: int, parts: np.ndarray, weights: np.ndarray, sign: int) -> None:
        """Add (sign 1) or remove (-1) nodes of a class that are in `parts` (n), with their edges `weights` (n)."""
        count = len(self.edges)
        self.nodes[of] += sign * np.bincount(parts, minlength=count)
        if self.with_edges:
            self.edges += sign * np.bincount(parts, weights, minlength=count).astype(np.int64)
