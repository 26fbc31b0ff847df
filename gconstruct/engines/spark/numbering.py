"""Which node gets which number: in the order of its table, or, of several partitions, partition after partition, and in
the order of its table within each of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gconstruct.engines.spark.blobs import PARTS, by_order
from gconstruct.engines.spark.cluster import Pair


@dataclass(frozen=True, slots=True, eq=False)
class Numbering:
    """The numbers of the nodes of one type: of the pieces of its table, then of the ranges of created nodes."""

    rows: tuple[int, ...]
    """Nodes of each piece and range"""
    by_partition: np.ndarray | None = None
    """int64 (pieces, partitions): nodes of each piece in each partition; None: there is one partition."""

    @property
    def partitions(self) -> int:
        """Of the graph"""
        return 1 if self.by_partition is None else int(self.by_partition.shape[1])

    @property
    def count(self) -> int:
        """All nodes of the type."""
        return sum(self.rows)

    @property
    def starts(self) -> list[int]:
        """pieces + 1: nodes before each piece"""
        return [0, *np.cumsum(self.rows).tolist()]

    @property
    def partition_starts(self) -> list[int]:
        """partitions + 1: the first number of each partition."""
        if self.by_partition is None:
            return [0, self.count]
        return [0, *np.cumsum(self.by_partition.sum(axis=0)).tolist()]

    def of_piece(self, piece: int, incoming: list[Pair]) -> tuple[np.ndarray, np.ndarray]:
        """int64 (rows of the piece) twice: the numbers of its nodes, and their numbers in the order of the table.
        incoming: also the partitions of its nodes, if there are several."""
        start = self.starts[piece]
        order = np.arange(start, start + self.rows[piece])
        if self.by_partition is None:
            return order, order
        sent = by_order(pair for pair in incoming if pair[0][1] == PARTS)
        parts = np.concatenate([np.empty(0, np.int32), *(batch.column(0).to_numpy() for batch in sent)])
        assert len(parts) == len(order), "every node was given to a partition"
        first = np.array(self.partition_starts[:-1]) + self.by_partition[:piece].sum(axis=0)
        return first[parts] + _places(parts, self.by_partition[piece]), order

    def partition_of(self, positions: np.ndarray) -> np.ndarray:
        """int64 (n): the partition that holds each node."""
        return np.searchsorted(self.partition_starts[1:-1], positions, side="right")


def _places(parts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """int64 (n): how many earlier rows are in the same partition. counts: int64 (partitions), rows in each."""
    order = np.argsort(parts, kind="stable")
    places = np.empty(len(parts), np.int64)
    places[order] = np.arange(len(parts)) - np.repeat(np.cumsum(counts) - counts, counts)
    return places
