"""`method: random`: equally many nodes of every type in each partition."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gconstruct.partitioners.base import PARTITIONERS, Assignment, OpenedGraph, Partitioner
from graphstorm_like.config.partitioners import RandomPartitions


@PARTITIONERS.register(RandomPartitions)
class RandomPartitioner(Partitioner[RandomPartitions]):
    """Reads no file. Memory: 24 bytes per node of the largest type for a moment, 4 to keep."""

    def assign(self, graph: OpenedGraph) -> Assignment:
        """See Partitioner."""
        counts = {name: node.count for name, node in graph.nodes.items()}
        return at_random(counts, self.config.count, self.config.seed)


def at_random(counts: Mapping[str, int], partitions: int, seed: int) -> Assignment:
    """Partitions of one type differ by at most one node. Which ones get one more is random too: otherwise small types
    would all be in the first partition."""
    assignment = {}
    for number, (name, count) in enumerate(counts.items()):
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, number])))
        first = rng.integers(partitions)
        assignment[name] = rng.permutation((np.arange(count) + first) % partitions).astype(np.int32)
    return assignment
