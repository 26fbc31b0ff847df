"""`method: fennel`: neighbours in the partition, less the price of its size.

Tsourakakis, Gkantsidis, Radunovic & Vojnovic, "FENNEL: Streaming Graph Partitioning for Massive Scale Graphs", WSDM
2014; several passes: Nishimura & Ugander, "Restreaming Graph Partitioning", KDD 2013.
"""

from __future__ import annotations

import numpy as np

from gconstruct.partitioners.base import PARTITIONERS, Assignment, OpenedGraph, Partitioner
from gconstruct.partitioners.streaming.passes import stream
from graphstorm_like.config.partitioners import FennelPartitions


@PARTITIONERS.register(FennelPartitions)
class FennelPartitioner(Partitioner[FennelPartitions]):
    """score = neighbours - gamma * edges / nodes * fullness ** (gamma - 1), the derivative of the paper's
    alpha * size ** gamma with alpha = edges * P ** (gamma - 1) / nodes ** gamma, in terms of fullness = size * P /
    nodes. Nodes and edges are those of the node's class."""

    def assign(self, graph: OpenedGraph) -> Assignment:
        """See Partitioner."""
        return stream(graph, self.config, self._score)

    def _score(self, counts: np.ndarray, fullness: np.ndarray, degree: float) -> np.ndarray:
        gamma = self.config.gamma
        scores: np.ndarray = counts - gamma * degree / 2 * fullness ** (gamma - 1)
        return scores
