"""Features of the graph's structure, in steps: measure the graph, fit a state, apply it.

Every engine writes the same folder, so they are made of the folder once its edges are there, whatever built it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from gconstruct.opened import GraphFiles
from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.features.structure import StructureFeature
from graphstorm_like.graph.schema import (
    SOURCE_COLUMN,
    SPLIT_COLUMN,
    SPLITS,
    TARGET_COLUMN,
    EdgeTypeSchema,
    NodeTypeSchema,
)
from graphstorm_like.registry import Registry

Config = TypeVar("Config", bound=StructureFeature)
_HIDDEN = (SPLITS.index("valid"), SPLITS.index("test"))
_BLOCK = 1 << 22


class Edges:
    """The nodes of a graph folder, and its edges without those that are for validation and test."""

    def __init__(self, files: GraphFiles, nodes: Mapping[str, NodeTypeSchema], edges: Sequence[EdgeTypeSchema]) -> None:
        self._files = files
        self.counts = {name: node.count for name, node in nodes.items()}
        self._split = {edge.edge_type: edge.split_counts is not None for edge in edges}
        self.edge_types = [edge.edge_type for edge in edges if not edge.is_reverse]
        """Without reverses"""

    def ends(self, edge_type: EdgeType) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Blocks of (sources, targets): positions of nodes."""
        rows = self._files.edges(edge_type)
        sources, targets = rows.numbers(SOURCE_COLUMN), rows.numbers(TARGET_COLUMN)
        splits = rows.numbers(SPLIT_COLUMN) if self._split[edge_type] else None
        for start in range(0, len(rows), _BLOCK):
            block = slice(start, start + _BLOCK)
            if splits is None:
                yield sources[block], targets[block]
            else:
                visible = is_visible(splits[block])
                yield sources[block][visible], targets[block][visible]

    def degrees(self, edge_type: EdgeType, end: str) -> np.ndarray:
        """int64 (nodes): edges that lead to each node of the target's type ('in'), or start at one of the source's."""
        at_target = end == "in"
        count = self.counts[edge_type[2 if at_target else 0]]
        degrees = np.zeros(count, np.int64)
        for sources, targets in self.ends(edge_type):
            degrees += np.bincount(targets if at_target else sources, minlength=count)
        return degrees


def is_visible(splits: np.ndarray) -> np.ndarray:
    """bool (n): edges that features may show. splits: uint8 (n)"""
    return ~np.isin(splits, _HIDDEN)


class Structure(ABC, Generic[Config]):
    """One such feature."""

    def __init__(self, config: Config) -> None:
        self.config = config

    @abstractmethod
    def measure(self, edges: Edges, node_type: str) -> np.ndarray:
        """float64 (nodes, width), finite."""

    def state(self, numbers: np.ndarray) -> dict[str, Any]:
        """What is kept in graph.json, JSON-able, without keys of the configuration."""
        return {}

    def apply(self, numbers: np.ndarray, state: dict[str, Any]) -> np.ndarray:
        """float32 (nodes, width) of what was measured in this graph or another one."""
        return numbers.astype(np.float32)


STRUCTURES: Registry[type[Structure[Any]]] = Registry("feature of the structure", package="gconstruct.structure")
"""Classes by the class of their configuration: `@STRUCTURES.register(DegreeFeature)`."""
