"""Negatives of which each host computes those of its own partitions (as `localuniform` of GraphStorm does).

Of `count` nodes partition p of the P that have any of the type gives ceil(count * (p + 1) / P) - ceil(count * p / P),
drawn evenly from its own. Ranks take a step's drawn nodes in ascending blocks, and ids ascend through the partitions:
the blocks end where partitions do, if each host has as many of them, and none is without such nodes.

Draws depend on the partitions of the graph, and not on how many ranks there are. All ranks share the vectors, so that
an edge is compared with the negatives of all partitions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.negatives import OwnPartitionNegativesConfig
from graphstorm_like.errors import DataError
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.sampling.negatives.base import NEGATIVES, DrawnNegatives
from graphstorm_like.sampling.true_targets import TrueTargets


@NEGATIVES.register(OwnPartitionNegativesConfig)
class OwnPartitionNegatives(DrawnNegatives):
    """See module. `ranges`: by node type, first and last + 1 node of each partition that has some."""

    def __init__(
        self, config: OwnPartitionNegativesConfig, graph: Graph, true_targets: Mapping[EdgeType, TrueTargets]
    ) -> None:
        self.count, self.folder = config.count, graph.folder
        self.ranges: dict[NodeType, list[tuple[int, int]]] = {}
        for node_type in dict.fromkeys(e[2] for e in true_targets):
            of_parts = [partition.node_ranges[node_type] for partition in graph.manifest.partitions]
            self.ranges[node_type] = [(first, stop) for first, stop in of_parts if stop > first]

    @classmethod
    def notes(cls, config: Any, graph: Graph) -> Iterator[str]:
        """See Negatives."""
        if len(graph.manifest.partitions) == 1:
            yield "task.negatives: own_partition draws as uniform does, for the graph has one partition"

    def nodes(self, count: int, node_type: NodeType, rng: np.random.Generator) -> IntArray:
        """See DrawnNegatives."""
        ranges = self.ranges[node_type]
        parts = zip(ranges, shares(count, len(ranges)).tolist(), strict=True)
        return np.concatenate([rng.integers(first, stop, size=share) for (first, stop), share in parts])

    def check(self, count: int | None = None) -> None:
        """See Negatives: each partition must give some, or none of its nodes would ever be a negative."""
        drawn = self.count if count is None else count
        for node_type, ranges in self.ranges.items():
            if drawn < len(ranges):
                raise DataError(
                    f"{self.folder}: task.negatives of type own_partition must draw a node or more of type {node_type} "
                    f"from each of its {len(ranges)} partitions (got {drawn} in all). Raise count (or the share in a "
                    f"mix), or choose type: uniform"
                )

    def chances(self, node_type: NodeType, ids: IntArray, count: int) -> npt.NDArray[np.float64] | None:
        """See Negatives."""
        ranges = self.ranges[node_type]
        if len(ranges) == 1:
            return None
        sizes = np.array([stop - first for first, stop in ranges])
        part_of = np.searchsorted([stop for _, stop in ranges], ids, side="right")
        of_parts = shares(count, len(ranges)) / count / sizes
        chances: npt.NDArray[np.float64] = of_parts[part_of]
        return chances


def shares(count: int, parts: int) -> IntArray:
    """[parts] how many of `count` nodes each partition gives; see module."""
    return np.diff(-(-count * np.arange(parts + 1) // parts))
