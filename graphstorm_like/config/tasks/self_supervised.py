"""What tasks have in common that learn from the graph alone: nodes of several types, no labels, no validation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from graphstorm_like.config.base import EdgeType, Name
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.problems import Problem, unknown_name
from graphstorm_like.config.tasks.base import TaskConfig

Parts = Annotated[list[Annotated[float, Field(ge=0.0, lt=1.0)]], Field(min_length=2, max_length=2)]
"""What each of two views lacks."""


class UnscoredConfig(TaskConfig):
    """Learns from the graph alone: weights for `train.start_from`, and embeddings."""

    may_be_joined: ClassVar[bool] = False

    def check_validation(self, graph: GraphConfig) -> Iterator[Problem]:
        """See TaskConfig."""
        yield (
            ("type",),
            f"must be trained without validation, for there is nothing to score (got {self.type}). Set "
            f"train.evaluate_every: null",
        )


class SelfSupervisedConfig(UnscoredConfig):
    """Learns from nodes of some types."""

    of_types: Annotated[list[Name], Field(min_length=1)]
    """Node types that it learns from, in turn the seeds of its batches."""

    def node_types(self, edge_types: Sequence[EdgeType]) -> tuple[str, ...]:
        """See TaskConfig."""
        return tuple(self.of_types)

    def check(self, graph: GraphConfig) -> Iterator[Problem]:
        """See TaskConfig."""
        for number, node_type in enumerate(self.of_types):
            if node_type not in graph.nodes:
                yield ("of_types", number), unknown_name("node type", node_type, graph.nodes)
            elif node_type in self.of_types[:number]:
                yield ("of_types", number), f"must stand in the list once (got '{node_type}' again)"
