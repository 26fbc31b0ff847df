"""Scores of links: both ends' vectors -> one number a pair.

Most heads map each end (`source`, `target`) and take an inner product: all pairs of a batch are then one matrix
product, and a target index can be searched by any maximum-inner-product library. A head of another kind sets
`is_inner_product` to False and defines `pair_scores`; all pairs are then scored block by block, so that memory stays
bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from graphstorm_like.config.base import EdgeType
from graphstorm_like.registry import Registry

LINK_HEADS: Registry[type[LinkHead]] = Registry("link head", "graphstorm_like.models.link_heads")

BLOCK = 16_000_000
"""Numbers (pairs times width) that a head holds at once if it is not an inner product: 64 MB in float32."""


class LinkHead(nn.Module):
    """score(s, t) = <source(h_s), target(h_t)>, unless a head says otherwise."""

    plain_similarity: Literal["inner_product", "cosine"] | None = None
    """The similarity by which the embeddings themselves rank as the head does; None: only vectors of `source` and
    `target` do."""
    index: Mapping[EdgeType, int] = MappingProxyType({})
    """Rows of `relations`, where there are parameters per relation."""
    is_inner_product = True
    """Whether every score is the inner product of `source` and `target`; if not, `pair_scores` is the head's own."""
    targets_alike = False
    """Whether `target` is the same map for every relation: targets that relations share are then mapped once."""

    def source(self, hidden: Tensor, edge_type: EdgeType) -> Tensor:
        """[..., D] of source nodes -> [..., D] queries."""
        raise NotImplementedError

    def target(self, hidden: Tensor, edge_type: EdgeType) -> Tensor:
        """[..., D] of target nodes -> [..., D] keys."""
        raise NotImplementedError

    def pair_scores(self, source: Tensor, target: Tensor, edge_type: EdgeType) -> Tensor:
        """Vectors of both ends [..., D], which may broadcast -> [...] the score of each pair."""
        return (self.source(source, edge_type) * self.target(target, edge_type)).sum(dim=-1)

    def scores(self, source: Tensor, target: Tensor, edge_type: EdgeType) -> Tensor:
        """Vectors [n, D] of sources, [m, D] of targets -> [n, m] scores of all pairs."""
        if self.is_inner_product:
            return self.source(source, edge_type) @ self.target(target, edge_type).T
        return in_blocks(lambda rows: self.pair_scores(rows[:, None], target, edge_type), source, target.numel())

    def scores_of_relations(self, sources: Mapping[EdgeType, Tensor], target: Tensor) -> dict[EdgeType, Tensor]:
        """Vectors [n_r, D] of sources of each relation, [m, D] of targets that they share -> scores [n_r, m] of each.

        One product for all relations where that is possible.
        """
        if not (self.is_inner_product and self.targets_alike):
            return {edge_type: self.scores(rows, target, edge_type) for edge_type, rows in sources.items()}
        queries = [self.source(rows, edge_type) for edge_type, rows in sources.items()]
        keys = self.target(target, next(iter(sources)))
        products = torch.split(torch.cat(queries) @ keys.T, [len(rows) for rows in queries])
        return dict(zip(sources, products, strict=True))


def in_blocks(score: Callable[[Tensor], Tensor], rows: Tensor, numbers: int) -> Tensor:
    """score(rows [n, ...]) [n, ...] without holding more than BLOCK numbers at once. numbers: how many one row needs.

    The backward pass computes what gradients need again, block by block.
    """
    max_rows = max(1, BLOCK // max(numbers, 1))
    if len(rows) <= max_rows:
        return score(rows)
    blocks = torch.split(rows, max_rows)
    if not torch.is_grad_enabled():
        return torch.cat([score(block) for block in blocks])
    return torch.cat([checkpoint(score, block, use_reentrant=False, preserve_rng_state=False) for block in blocks])
