"""Several terms of pairs at once: term(s, t) = sum over i of term_i(s, t)."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.pair_terms import SumConfig
from graphstorm_like.graph.store import Graph, IntArray
from graphstorm_like.tasks.pair_terms.base import PAIR_TERMS, PairTerm


@PAIR_TERMS.register(SumConfig)
class Sum(PairTerm):
    """See module."""

    def __init__(self, config: SumConfig, graph: Graph, edge_type: EdgeType) -> None:
        super().__init__()
        self.terms = nn.ModuleList(PAIR_TERMS.of(term)(term, graph, edge_type) for term in config.terms)

    def forward(self, sources: IntArray, candidates: IntArray | None, targets: IntArray | None = None) -> Tensor:
        """See PairTerm."""
        return self._sum(lambda term: term(sources, candidates, targets))

    def of_pairs(self, sources: IntArray, candidates: IntArray, targets: IntArray | None = None) -> Tensor:
        """See PairTerm."""
        return self._sum(lambda term: term.of_pairs(sources, candidates, targets))

    def of_true_and_drawn(self, sources: IntArray, targets: IntArray, drawn: IntArray) -> Tensor:
        """See PairTerm."""
        return self._sum(lambda term: term.of_true_and_drawn(sources, targets, drawn))

    def _sum(self, ask: Callable[[Any], Tensor]) -> Tensor:
        return reduce(torch.add, map(ask, self.terms))
