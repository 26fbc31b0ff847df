"""What layers read of edges beside the model's edge inputs: weights, and degrees of both ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.gnns import GnnConfig
from graphstorm_like.errors import DataError
from graphstorm_like.graph.schema import GraphManifest
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.models.aggregate import WEIGHT
from graphstorm_like.models.degrees import DEGREES
from graphstorm_like.pending import Pending
from graphstorm_like.sampling.steps import FeatureSource, GraphFeature

Rows = npt.NDArray[np.float32]


@dataclass(frozen=True)
class EdgeWeights:
    """Weights [E, 1] of edges of a type: one of its features. DataError for numbers below 0."""

    feature: GraphFeature

    def rows(self, ids: IntArray) -> Rows:
        """[E, 1] by edge id."""
        return self.begin_rows(ids).wait()

    def begin_rows(self, ids: IntArray) -> Pending[Rows]:
        """See FeatureSource."""
        return self.feature.begin_rows(ids).then(self._checked)

    def _checked(self, weights: Rows) -> Rows:
        if len(weights) and not weights.min() >= 0.0:
            assert not isinstance(self.feature.row_type, str)
            raise DataError(
                f"graph folder, edge type {edge_name(self.feature.row_type)}: feature '{self.feature.name}' must be at "
                f"least 0 to weigh edges (got {weights.min():g}). Construct it with normalize: none or min_max, or "
                f"leave out model.gnn.edge_weight"
            )
        return weights


class EdgeDegrees:
    """Degrees [E, 3] at the ends of edges j -> i of a type: d_j, d_i, over all types, and d_ir of this type alone.

    of_all: edges of all types into each node, by node type.
    """

    def __init__(self, graph: Graph, edge_type: EdgeType, of_all: dict[NodeType, IntArray]) -> None:
        self._graph, self._edge_type = graph, edge_type
        self._of_source, self._of_target = of_all[edge_type[0]], of_all[edge_type[2]]
        self._of_type = graph.degrees(edge_type)

    def rows(self, ids: IntArray) -> Rows:
        """[E, 3] by edge id."""
        sources, targets = self._graph.edges(self._edge_type, ids)
        columns = [self._of_source[sources], self._of_target[targets], self._of_type[targets]]
        return np.stack(columns, axis=1).astype(np.float32)

    def begin_rows(self, ids: IntArray) -> Pending[Rows]:
        """See FeatureSource."""
        return Pending(lambda: self.rows(ids))


def weighed_types(config: GnnConfig, manifest: GraphManifest) -> dict[EdgeType, str]:
    """The feature that weighs the edges, of each type that has it. DataError when no type has, or it is no number."""
    return types_with_number(config.weight_column, manifest, "model.gnn.edge_weight")


def types_with_number(column: str | None, manifest: GraphManifest, key: str) -> dict[EdgeType, str]:
    """The feature of edges that `key` names, of each type that has it. DataError as of weighed_types."""
    if column is None:
        return {}
    weighed = {}
    for edge in manifest.edges:
        if column in edge.features:
            if edge.features[column].width != 1:
                raise DataError(
                    f"graph folder, edge type {edge_name(edge.edge_type)}: feature '{column}' must be one number to "
                    f"weigh edges (got {edge.features[column].width}). Name another as {key}"
                )
            weighed[edge.edge_type] = column
    if not weighed:
        raise DataError(f"graph folder: must have a feature '{column}' of edges for {key} (got none)")
    return weighed


def edge_facts(config: GnnConfig, graph: Graph) -> dict[EdgeType, dict[str, FeatureSource]]:
    """Sources of weights and degrees, for the edge types and networks that read them."""
    facts: dict[EdgeType, dict[str, FeatureSource]] = {}
    for edge_type, column in weighed_types(config, graph.manifest).items():
        facts[edge_type] = {WEIGHT: EdgeWeights(GraphFeature(graph, edge_type, column))}
    if config.reads_degrees:
        of_all = {name: np.zeros(node.count, dtype=np.int64) for name, node in graph.manifest.nodes.items()}
        for edge in graph.manifest.edges:
            of_all[edge.edge_type[2]] += graph.degrees(edge.edge_type)
        for edge in graph.manifest.edges:
            facts.setdefault(edge.edge_type, {})[DEGREES] = EdgeDegrees(graph, edge.edge_type, of_all)
    return facts
