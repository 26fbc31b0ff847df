"""Partitions of your own: the nodes of every type take turns, in the order of their tables.

plugins: [./partitions_turns.py]
graph: { partitions: { method: turns, count: 4 }, ... }
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from gconstruct.partitioners.base import PARTITIONERS, Assignment, OpenedGraph, Partitioner
from graphstorm_like.config.partitioners import PartitionsConfig


class TurnsPartitions(PartitionsConfig):
    """Node i of a type goes to partition i modulo their number."""

    method: Literal["turns"]


@PARTITIONERS.register(TurnsPartitions)
class TurnsPartitioner(Partitioner[TurnsPartitions]):
    """See module. A method that looks at edges finds their files in `graph.files`."""

    def assign(self, graph: OpenedGraph) -> Assignment:
        """By node type int32 (nodes): the partition of each node."""
        counts = {name: node.count for name, node in graph.nodes.items()}
        return {name: np.arange(count, dtype=np.int32) % self.config.count for name, count in counts.items()}
