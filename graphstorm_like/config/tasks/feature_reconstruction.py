"""`task.type: feature_reconstruction`"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from graphstorm_like.config.base import PositiveFloat
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.problems import Problem
from graphstorm_like.config.tasks.self_supervised import SelfSupervisedConfig


class FeatureReconstructionConfig(SelfSupervisedConfig):
    """Find the features of nodes whose inputs are masked from what is around them (GraphMAE: Hou et al., KDD 2022)."""

    type: Literal["feature_reconstruction"]
    mask: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    """This part of the seeds is masked: all their inputs are the batch's means."""
    loss: Literal["cosine", "mse"] = "cosine"
    """Of a node's standardised features. cosine: (1 - cos)^gamma, for several numbers a node; mse: the mean squared
    error."""
    gamma: PositiveFloat = 2.0
    """With loss cosine: higher for less weight on nodes that are nearly right."""

    def check(self, graph: GraphConfig) -> Iterator[Problem]:
        """See TaskConfig."""
        yield from super().check(graph)
        for number, node_type in enumerate(self.of_types):
            if node_type in graph.nodes and graph.nodes[node_type].has_table and not graph.nodes[node_type].features:
                yield ("of_types", number), f"must be a node type with features (got '{node_type}', which has none)"
