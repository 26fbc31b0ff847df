"""The base class of terms that are added to a decoder's scores, and that read the graph between both ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.graph.store import Graph, IntArray
from graphstorm_like.registry import Registry

PAIR_TERMS: Registry[Callable[[Any, Graph, EdgeType], PairTerm]] = Registry(
    "term of pairs", "graphstorm_like.tasks.pair_terms"
)
"""Called with (config, graph, edge type whose pairs are scored)."""


class PairTerm(nn.Module):
    """Holds the parameters of the term. Training edges must not tell of themselves: `targets` says which edge a row of
    a batch is about, and that edge is no part of the graph for this row."""

    def forward(self, sources: IntArray, candidates: IntArray | None, targets: IntArray | None = None) -> Tensor:
        """Source ids [n], candidate ids [m] which may repeat (None: all nodes of the target type) -> [n, m] what is
        added to the scores. targets [n]: the edge from each source that does not count; None: all that pass messages
        count."""
        raise NotImplementedError

    def of_pairs(self, sources: IntArray, candidates: IntArray) -> Tensor:
        """Source ids [n], candidate ids [n, m] of each -> [n, m] what is added to the scores."""
        raise NotImplementedError
