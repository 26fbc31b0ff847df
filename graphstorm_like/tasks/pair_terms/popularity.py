"""Popularity of targets: with uniform negatives, how often a target is linked is most of what ranks it.

    term(s, t) = w log(1 + number of sources with a training edge to t)

In the row of a training edge (s, t) the number is without s. w starts at 0: at first there is the decoder alone. The
popularity of a source is the same for all its candidates, and so changes no rank.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.pair_terms import PopularityTermConfig
from graphstorm_like.graph.store import Graph, IntArray
from graphstorm_like.sampling.negatives.paths import shown_ends
from graphstorm_like.tasks.pair_terms.base import PAIR_TERMS, PairTerm


@PAIR_TERMS.register(PopularityTermConfig)
class Popularity(PairTerm):
    """See module."""

    def __init__(self, config: PopularityTermConfig, graph: Graph, edge_type: EdgeType) -> None:
        super().__init__()
        self.lr_factor = config.lr_factor
        self.graph, self.edge_type = graph, edge_type
        self.weight = nn.Parameter(torch.zeros(()))

    @cached_property
    def _sources(self) -> IntArray:
        """[targets]: how many there are. Those that are hidden from message passing do not count."""
        source, target = shown_ends(self.graph, self.edge_type)
        count = self.graph.manifest.node(self.edge_type[2]).count
        return np.bincount(np.unique(source * count + target) % count, minlength=count)

    def forward(self, sources: IntArray, candidates: IntArray | None, targets: IntArray | None = None) -> Tensor:
        """See PairTerm."""
        counts = self._sources if candidates is None else self._sources[candidates]
        logs = torch.from_numpy(np.log1p(counts)).to(self.weight).expand(len(sources), len(counts))
        if targets is not None:
            ids = np.arange(len(counts)) if candidates is None else candidates
            row, column = np.nonzero(ids == targets[:, None])
            logs = logs.clone()
            without = np.log1p(np.maximum(self._sources[targets[row]] - 1, 0))
            logs[torch.from_numpy(row), torch.from_numpy(column)] = torch.from_numpy(without).to(logs)
        return self.weight * logs

    def of_pairs(self, sources: IntArray, candidates: IntArray, targets: IntArray | None = None) -> Tensor:
        """See PairTerm."""
        counts = self._sources[candidates]
        if targets is not None:
            counts = np.maximum(counts - (candidates == targets[:, None]), 0)
        return self.weight * torch.from_numpy(np.log1p(counts)).to(self.weight)
