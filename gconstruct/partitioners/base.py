"""What a partition method must do, and how one is found.

In: the files of a graph folder and its types. Out: by node type int32 (n), the partition of each node. What becomes of
the assignment (renumbering, files) is the same for all: see `partition`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from gconstruct.opened import GraphFiles
from graphstorm_like.config.partitioners import PartitionsConfig
from graphstorm_like.graph.schema import SPLITS, EdgeTypeSchema, NodeTypeSchema, label_split_column
from graphstorm_like.registry import Registry

Assignment = dict[str, np.ndarray]
"""By node type int32 (n): the partition of each node."""
Config = TypeVar("Config", bound=PartitionsConfig)


@dataclass(frozen=True)
class OpenedGraph:
    """The graph that is to be partitioned."""

    files: GraphFiles
    nodes: Mapping[str, NodeTypeSchema]
    edges: Sequence[EdgeTypeSchema]
    scratch: Path
    """An empty folder for files that are needed for the time being"""
    say: Callable[[str], None]
    """Gets plain lines of progress"""

    def is_training(self, node_type: str) -> np.ndarray:
        """bool (n): nodes that are in the training split of a label."""
        schema = self.nodes[node_type]
        trained = np.zeros(schema.count, bool)
        for label in schema.labels:
            trained |= self.files.nodes(node_type).numbers(label_split_column(label)) == SPLITS.index("train")
        return trained


class Partitioner(ABC, Generic[Config]):
    """One method, with its configuration."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def check(self) -> None:
        """Raises MissingExtraError before the work begins, instead of in the middle of it."""

    @abstractmethod
    def assign(self, graph: OpenedGraph) -> Assignment:
        """A partition, 0..config.count-1, for every node. Called with at least two partitions. Equal input gives
        equal output. Raises ConfigError when the graph has not what the configuration names."""


PARTITIONERS: Registry[type[Partitioner[PartitionsConfig]]] = Registry(
    "partition method", package="gconstruct.partitioners"
)
"""Classes by the class of their configuration: `@PARTITIONERS.register(RandomPartitions)`."""
