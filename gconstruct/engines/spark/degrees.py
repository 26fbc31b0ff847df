"""Degrees of nodes on the way to their files: counted by pieces of edges, and added up where the nodes are.

pieces of edges --degrees--> pieces of nodes --statistics--> one state
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np

from gconstruct.engines.spark.blobs import DEGREES, ROWS, unpack
from gconstruct.engines.spark.cluster import Pair
from gconstruct.structure.add import schema_of, stored
from gconstruct.structure.base import STRUCTURES
from gconstruct.structure.degree import Degree
from gconstruct.transforms.moments import Moments
from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.features import FeatureConfig
from graphstorm_like.config.features.degree import DegreeFeature
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.graph.schema import FeatureSchema, feature_column

COUNTS = "count"
End = tuple[EdgeType, str]
"""Edge type, and 'in' or 'out'"""
States = dict[str, dict[str, Any]]
"""By feature"""


def is_degree(feature: FeatureConfig) -> TypeGuard[DegreeFeature]:
    """Whether it is ours: a plug-in may measure anything."""
    return not feature.of_columns and STRUCTURES.of(feature) is Degree


def degrees_of(config: GraphConfig, node_type: str, known: Mapping[str, States] | None) -> DegreeColumns | None:
    """The features that executors make of the edges of a node type; None when there are none, or other features of
    edges among them: those need all edges in one place, and then all are made there. known: states of another graph."""
    of_edges = {name: f for name, f in config.nodes[node_type].features.items() if not f.of_columns}
    features = {name: f for name, f in of_edges.items() if is_degree(f)}
    if not features or len(features) < len(of_edges):
        return None
    edge_types = [edge.edge_type for edge in config.edges]
    ends = {name: tuple(feature.counted_ends(node_type, edge_types)) for name, feature in features.items()}
    counted = dict.fromkeys(end for of_feature in ends.values() for end in of_feature)
    return DegreeColumns(node_type, features, ends, tuple(counted), {} if known is None else known[node_type])


@dataclass(frozen=True, slots=True)
class DegreeColumns:
    """The features of one node type that are made of degrees."""

    node_type: str
    features: Mapping[str, DegreeFeature]
    ends: Mapping[str, tuple[End, ...]]
    """What each feature counts"""
    counted: tuple[End, ...]
    """What is counted for all of them"""
    states: States
    """Empty until they are known"""

    def fit(self, rows: tuple[int, ...], piece: int, incoming: Iterator[Pair]) -> Iterator[Pair]:
        """(piece,) -> Moments of each feature. rows: nodes of each piece"""
        if piece < len(rows):  # the receiver of reports comes after them
            degrees, moments = self._gathered(rows[piece], incoming), {}
            for name in self.features:
                numbers = self._numbers(name, degrees)
                moments[name] = Moments.of([numbers], numbers.shape[1])
            yield (piece,), moments

    def states_of(self, moments: Mapping[str, Moments]) -> States:
        """What is kept of each feature."""
        return {name: Degree(feature).state_of(moments[name]) for name, feature in self.features.items()}

    def columns(self, rows: int, sent: Iterable[Pair]) -> dict[str, np.ndarray]:
        """The columns of a piece with so many nodes. Raises DataError when a number does not fit."""
        degrees, columns = self._gathered(rows, sent), {}
        for name, feature in self.features.items():
            key = f"graph.nodes.{self.node_type}.features.{name}"
            column = stored(Degree(feature), self._numbers(name, degrees), self.states[name], key)
            columns[feature_column(name)] = column
        return columns

    def schemas(self) -> dict[str, FeatureSchema]:
        """What the manifest says."""
        widths = {name: 1 if feature.total else len(self.ends[name]) for name, feature in self.features.items()}
        return {name: schema_of(f, widths[name], self.states[name]) for name, f in self.features.items()}

    def _numbers(self, name: str, degrees: np.ndarray) -> np.ndarray:
        chosen = [self.counted.index(end) for end in self.ends[name]]
        return Degree(self.features[name]).numbers(degrees[:, chosen])

    def _gathered(self, rows: int, sent: Iterable[Pair]) -> np.ndarray:
        """int64 (rows, counted)"""
        degrees = np.zeros((rows, len(self.counted)), np.int64)
        for key, blob in sent:
            if key[1] == DEGREES:
                batch = unpack(blob)
                degrees[batch.column(ROWS).to_numpy(), key[2]] += batch.column(COUNTS).to_numpy()
        return degrees


def merged_moments(first: Mapping[str, Moments], second: Mapping[str, Moments]) -> dict[str, Moments]:
    """Of the nodes of both."""
    return {name: moments.merged(second[name]) for name, moments in first.items()}
