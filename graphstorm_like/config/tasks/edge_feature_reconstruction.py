"""`task.type: edge_feature_reconstruction`"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field

from graphstorm_like.config.base import EdgeType, EdgeTypeField, Name, PositiveFloat, edge_name
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.problems import Path, Problem, check_original, unknown_name
from graphstorm_like.config.tasks.self_supervised import UnscoredConfig


class EdgeFeatureReconstructionConfig(UnscoredConfig):
    """Find the features of edges from the vectors of both ends, to which these edges send no messages."""

    type: Literal["edge_feature_reconstruction"]
    edge_types: Annotated[list[EdgeTypeField], Field(min_length=1)]
    """Edge types whose edges, all of them, it learns from, in turn the seeds of its batches."""
    features: list[Name] | None = None
    """Those that are to be found, of each of the types; default: all."""
    loss: Literal["cosine", "mse"] = "mse"
    """Of an edge's standardised features. cosine: (1 - cos)^gamma, for several numbers an edge; mse: the mean squared
    error."""
    gamma: PositiveFloat = 2.0
    """With loss cosine: higher for less weight on edges that are nearly right."""
    head_layers: Annotated[int, Field(ge=1, le=4)] = 2
    """Layers of the decoder on [h_s, h_t, h_s * h_t]; 1: linear."""

    def relations(self, edge_types: Sequence[EdgeType]) -> tuple[EdgeType, ...]:
        """See TaskConfig."""
        return tuple(self.edge_types)

    def sought_features(self) -> dict[EdgeType, list[str] | None]:
        """See TaskConfig."""
        return dict.fromkeys(self.edge_types, self.features)

    def check(self, graph: GraphConfig) -> Iterator[Problem]:
        """See TaskConfig."""
        for number, edge_type in enumerate(self.edge_types):
            at: Path = ("edge_types", number)
            yield from check_original(graph, edge_type, at)
            edge = graph.edge(edge_type)
            if edge_type in self.edge_types[:number]:
                yield at, f"must stand in the list once (got '{edge_name(edge_type)}' again)"
            elif edge is not None and edge.has_table and not edge.features:
                yield at, f"must be an edge type with features (got '{edge_name(edge_type)}', which has none)"
            elif edge is not None and edge.has_table:
                for place, name in enumerate(self.features or ()):
                    if name not in edge.features:
                        yield ("features", place), unknown_name("feature", name, edge.features)
