"""Which node gets which number: in the order of its table, or, of several partitions, partition after partition.

One task makes the random assignment of a node type, the same as that of `gsl partition`, and sends each piece the
numbers of its rows. Its memory: 24 bytes per node of the type.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from gconstruct.engines.spark.blobs import NUMBERS, POSITIONS, by_order, pack, slices
from gconstruct.engines.spark.cluster import Pair
from gconstruct.partitioners.random import at_random


@dataclass(frozen=True, slots=True)
class Numbering:
    """The numbers of the nodes of one type: of the pieces of its table, then of the ranges of created nodes."""

    name: str
    names: tuple[str, ...]
    """All node types"""
    rows: tuple[int, ...]
    """Nodes of each piece and range"""
    partitions: int
    seed: int

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
        """partitions + 1: the first number of each partition. Random partitions differ by at most one node, and which
        ones are larger shows in the assignment of as many nodes as there are partitions."""
        if self.partitions == 1:
            return [0, self.count]
        whole, rest = divmod(self.count, self.partitions)
        larger = np.bincount(self._assignment_of_first(rest), minlength=self.partitions)
        sizes = whole + larger
        return [0, *np.cumsum(sizes).tolist()]

    def _assignment_of_first(self, count: int) -> np.ndarray:
        return at_random({name: count if name == self.name else 0 for name in self.names}, self.partitions, self.seed)[
            self.name
        ]

    def send(self, _: int, __: Iterator[Pair]) -> Iterator[Pair]:
        """(piece, NUMBERS, slice) -> the new numbers of its rows."""
        parts = self._assignment_of_first(self.count)
        old = np.argsort(parts, kind="stable")
        del parts
        new = np.empty(len(old), np.int64)
        new[old] = np.arange(len(old))
        del old
        for piece, start in enumerate(self.starts[:-1]):
            batch = pa.record_batch([pa.array(new[start : start + self.rows[piece]])], names=[POSITIONS])
            for number, part in enumerate(slices(batch)):
                yield (piece, NUMBERS, number), pack(part)

    def of_piece(self, piece: int, incoming: list[Pair]) -> tuple[np.ndarray, np.ndarray]:
        """int64 (rows of the piece) twice: the numbers of its nodes, and their numbers in the order of the table."""
        start = self.starts[piece]
        order = np.arange(start, start + self.rows[piece])
        if self.partitions == 1:
            return order, order
        batches = by_order(pair for pair in incoming if pair[0][1] == NUMBERS)
        return np.concatenate([batch.column(POSITIONS).to_numpy() for batch in batches]), order

    def partition_of(self, positions: np.ndarray) -> np.ndarray:
        """int64 (n): the partition that holds each node."""
        return np.searchsorted(self.partition_starts[1:-1], positions, side="right")
