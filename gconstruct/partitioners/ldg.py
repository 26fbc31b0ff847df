"""`method: ldg`: neighbours in the partition, times the share of it that is free.

Stanton & Kliot, "Streaming Graph Partitioning for Large Distributed Graphs", KDD 2012.
"""

from __future__ import annotations

import numpy as np

from gconstruct.partitioners.base import PARTITIONERS, Assignment, OpenedGraph, Partitioner
from gconstruct.partitioners.streaming.passes import stream
from graphstorm_like.config.partitioners import LdgPartitions

_EMPTIEST_FIRST = 1e-3
"""Nodes without neighbours go to the emptiest partition."""


@PARTITIONERS.register(LdgPartitions)
class LdgPartitioner(Partitioner[LdgPartitions]):
    """score = neighbours * (1 - size / largest size allowed)."""

    def assign(self, graph: OpenedGraph) -> Assignment:
        """See Partitioner."""
        return stream(graph, self.config, self._score)

    def _score(self, counts: np.ndarray, fullness: np.ndarray, degree: float) -> np.ndarray:
        free = 1 - fullness / (1 + self.config.slack)
        scores: np.ndarray = counts * free + _EMPTIEST_FIRST * free
        return scores
