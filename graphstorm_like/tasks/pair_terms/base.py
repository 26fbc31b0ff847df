"""The base class of terms that are added to a decoder's scores, and that read the graph between both ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.graph.store import Graph, IntArray
from graphstorm_like.registry import Registry

PAIR_TERMS: Registry[Callable[[Any, Graph, EdgeType], PairTerm]] = Registry(
    "term of pairs", "graphstorm_like.tasks.pair_terms"
)
"""Called with (config, graph, edge type whose pairs are scored)."""
ROWS = 1024
"""Sources, at most, whose pairs are scored together where each has candidates of its own."""
TERMS = 16_000_000
"""Terms that are held at once there: 64 MB."""


class PairTerm(nn.Module):
    """Holds the parameters of the term. Training edges must not tell of themselves: `targets` says which edge a row of
    a batch is about, and that edge is no part of the graph for this row."""

    lr_factor = 1.0
    """Times `train.lr`, at which the term's own parameters learn."""

    def forward(self, sources: IntArray, candidates: IntArray | None, targets: IntArray | None = None) -> Tensor:
        """Source ids [n], candidate ids [m] which may repeat (None: all nodes of the target type) -> [n, m] what is
        added to the scores. targets [n]: the edge from each source that does not count; None: all that pass messages
        count."""
        raise NotImplementedError

    def of_pairs(self, sources: IntArray, candidates: IntArray, targets: IntArray | None = None) -> Tensor:
        """Source ids [n], candidate ids [n, m] of each -> [n, m] what is added to the scores. targets [n]: see forward.
        Default: all candidates of some sources at once, of which each takes its own."""
        found = []
        # r rows with c candidates each have up to r c distinct ones, and so r^2 c terms; or no more than all nodes.
        nodes = int(candidates.max(initial=0)) + 1
        step = max(math.isqrt(TERMS // max(candidates.shape[1], 1)), TERMS // nodes, 1)
        step = min(step, ROWS)
        for start in range(0, max(len(sources), 1), step):
            part = slice(start, start + step)
            distinct, place = np.unique(candidates[part], return_inverse=True)
            own = None if targets is None else targets[part]
            terms = self(sources[part], distinct, own)
            found.append(terms.gather(1, torch.from_numpy(place.reshape(candidates[part].shape)).to(terms.device)))
        return torch.cat(found)

    def of_true_and_drawn(self, sources: IntArray, targets: IntArray, drawn: IntArray) -> Tensor:
        """Edges from sources [n] to targets [n], drawn nodes [m] -> [n, 1 + m]: of each edge's own target, and of the
        drawn nodes, which all edges share. The edges do not count, each in its own row."""
        return torch.cat([self.of_pairs(sources, targets[:, None], targets), self(sources, drawn, targets)], dim=1)


def row_blocks(numbers: IntArray, most: int) -> Iterator[IntArray]:
    """Rows that have so many numbers each, in order, cut so that each block has about `most` of them."""
    cuts = np.flatnonzero(np.diff(np.cumsum(numbers) // most, prepend=0))
    yield from (rows for rows in np.split(np.arange(len(numbers)), cuts) if len(rows))
