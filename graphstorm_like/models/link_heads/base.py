"""Scores of links: both ends' vectors -> one number a pair.

Most heads map each end (`source`, `target`) and take an inner product: all pairs of a batch are then one matrix
product, and a target index can be searched by any maximum-inner-product library. A head of another kind sets
`is_inner_product` to False and defines `compare`, of mapped ends, or `pair_scores`, where ends cannot be mapped one by
one; all pairs are then scored block by block, so that memory stays bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.inverses import is_inverse, stored
from graphstorm_like.errors import ConfigError
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
    relations: Tensor
    """[R, D'] parameters of the relations, where there are any."""
    combines = False
    """Whether `combine` makes queries of a source and its relation's row: many relations are then mapped at once."""
    is_inner_product = True
    """Whether every score is the inner product of `source` and `target`; if not, `compare` or `pair_scores` is the
    head's own."""
    targets_alike = False
    """Whether `target` is the same map for every relation: targets that relations share are then mapped once, and
    compared with the sources of all of them at once."""
    ends_differ = False
    """With targets_alike: whether sources have another map than targets, so that `target` differs for inverses."""

    def row_of(self, edge_type: EdgeType) -> tuple[int, bool]:
        """The row of `relations` for a relation, and whether it is to be inverted: an inverse (see `config.inverses`)
        that has no row of its own is scored by the parameters of its relation."""
        if edge_type in self.index:
            return self.index[edge_type], False
        return self.index[stored(edge_type)], True

    def combine(self, hidden: Tensor, weights: Tensor, sign: Tensor | float) -> Tensor:
        """[..., D] of source nodes, rows [..., D'] of `relations` and 1, or -1 for inverses [..., 1] -> queries. Of
        heads with `combines`."""
        raise NotImplementedError

    def source(self, hidden: Tensor, edge_type: EdgeType) -> Tensor:
        """[..., D] of source nodes -> [..., D] queries."""
        row, inverted = self.row_of(edge_type)
        return self.combine(hidden, self.relations[row], -1.0 if inverted else 1.0)

    def target(self, hidden: Tensor, edge_type: EdgeType) -> Tensor:
        """[..., D] of target nodes -> [..., D] keys."""
        raise NotImplementedError

    def compare(self, queries: Tensor, keys: Tensor) -> Tensor:
        """What `source` and `target` give [..., D], which may broadcast -> [...] the score of each pair."""
        return (queries * keys).sum(dim=-1)

    def compare_all(self, queries: Tensor, keys: Tensor) -> Tensor:
        """What `source` and `target` give, [n, D] and [m, D] -> [n, m] scores of all pairs."""
        if self.is_inner_product:
            return queries @ keys.T
        return in_blocks(lambda rows: self.compare(rows[:, None], keys), queries, keys.numel())

    def pair_scores(self, source: Tensor, target: Tensor, edge_type: EdgeType) -> Tensor:
        """Vectors of both ends [..., D], which may broadcast -> [...] the score of each pair."""
        return self.compare(self.source(source, edge_type), self.target(target, edge_type))

    def scores(self, source: Tensor, target: Tensor, edge_type: EdgeType) -> Tensor:
        """Vectors [n, D] of sources, [m, D] of targets -> [n, m] scores of all pairs."""
        if self.is_inner_product or self.targets_alike:
            return self.compare_all(self.source(source, edge_type), self.target(target, edge_type))
        return in_blocks(lambda rows: self.pair_scores(rows[:, None], target, edge_type), source, target.numel())

    def queries(self, source: Tensor, edge_types: Sequence[EdgeType], counts: Sequence[int]) -> Tensor:
        """Vectors [n, D] of sources, relation by relation, `counts` of each -> [n, D] queries."""
        if not self.combines:
            parts = zip(torch.split(source, list(counts)), edge_types, strict=True)
            return torch.cat([self.source(rows, edge_type) for rows, edge_type in parts])
        rows, inverted = zip(*map(self.row_of, edge_types), strict=True)
        row = torch.from_numpy(np.repeat(rows, counts)).to(source.device)
        sign = torch.from_numpy(np.repeat(np.where(inverted, -1.0, 1.0), counts)).to(source)
        return self.combine(source, self.relations[row], sign[:, None])

    def scores_of_relations(
        self, source: Tensor, target: Tensor, edge_types: Sequence[EdgeType], counts: Sequence[int]
    ) -> Tensor:
        """Vectors [n, D] of sources, relation by relation, `counts` of each, [m, D] of targets that they share ->
        scores [n, m].

        Relations whose targets are mapped alike are compared with them at once.
        """
        if not self.targets_alike:
            of_relations = zip(torch.split(source, list(counts)), edge_types, strict=True)
            return torch.cat([self.scores(rows, target, edge_type) for rows, edge_type in of_relations])
        if not self.ends_differ:
            return self.compare_all(self.queries(source, edge_types, counts), self.target(target, edge_types[0]))
        pieces: list[Tensor] = [source[:0]] * len(edge_types)
        parts = torch.split(source, list(counts))
        for inverse in (False, True):
            alike = [i for i, e in enumerate(edge_types) if is_inverse(e) == inverse]
            if alike:
                rows = torch.cat([parts[i] for i in alike])
                lengths = [counts[i] for i in alike]
                queries = self.queries(rows, [edge_types[i] for i in alike], lengths)
                compared = self.compare_all(queries, self.target(target, edge_types[alike[0]]))
                for i, piece in zip(alike, torch.split(compared, lengths), strict=True):
                    pieces[i] = piece
        return torch.cat(pieces)

    def scores_of_pairs(
        self, source: Tensor, target: Tensor, edge_types: Sequence[EdgeType], counts: Sequence[int]
    ) -> Tensor:
        """Vectors [n, D] of both ends of n pairs, relation by relation, `counts` of each -> [n] their scores."""
        if self.combines and self.targets_alike and not self.ends_differ:
            return self.compare(self.queries(source, edge_types, counts), self.target(target, edge_types[0]))
        parts = zip(torch.split(source, list(counts)), torch.split(target, list(counts)), edge_types, strict=True)
        return torch.cat([self.pair_scores(*ends_and_type) for ends_and_type in parts])

    def cubes(
        self,
        source: Tensor,
        target: Tensor,
        edge_types: Sequence[EdgeType],
        counts: Sequence[int],
        weights: Tensor | None = None,
    ) -> Tensor:
        """Vectors [n, D] of the ends of n true edges, relation by relation, `counts` of each -> the sum over edges of
        the cubed moduli of all three factors (nuclear 3-norm, Lacroix et al., ICML 2018), times weights [n]."""
        of_ends = self.moduli(self.target(torch.cat([source, target]), edge_types[0])).pow(3).sum(dim=-1)
        rows = self.relations[[self.row_of(edge_type)[0] for edge_type in edge_types]]
        of_relations = self.moduli(rows).pow(3).sum(dim=-1)
        of_edges = of_ends[: len(source)] + of_ends[len(source) :]
        of_edges = of_edges + of_relations.repeat_interleave(torch.tensor(counts).to(of_edges.device))
        return of_edges.sum() if weights is None else (of_edges * weights).sum()

    def moduli(self, rows: Tensor) -> Tensor:
        """Sizes of the numbers of vectors [n, D] or of `relations`. Of heads that are products of three factors."""
        raise NotImplementedError


def scaled(hidden: Tensor, to_unit_length: bool) -> Tensor:
    """[..., D], to length 1 if so."""
    return F.normalize(hidden, dim=-1) if to_unit_length else hidden


def check_even(hidden: int, head: str) -> None:
    """ConfigError when vectors cannot be pairs of real and imaginary parts."""
    if hidden % 2:
        raise ConfigError(
            f"model.gnn.hidden: must be even for task.head.type {head}, whose coordinates are pairs of numbers "
            f"(got {hidden}). Set model.gnn.hidden={hidden + 1}"
        )


def moduli(coordinates: Tensor) -> Tensor:
    """Of complex numbers, real parts before imaginary ones: [..., D] -> [..., D / 2]"""
    real, imaginary = coordinates.chunk(2, dim=-1)
    # Not hypot, whose gradient at 0 is NaN; here it is 0.
    smallest = torch.finfo(coordinates.dtype).tiny
    return (real * real + imaginary * imaginary).clamp_min(smallest).sqrt()


def distances(queries: Tensor, keys: Tensor, power: float) -> Tensor:
    """[n, D] and [m, D] -> [n, m] their distances by the p-norm, without a tensor of all differences."""
    # By matrix products equal vectors would not be at distance 0.
    return torch.cdist(queries, keys, p=power, compute_mode="donot_use_mm_for_euclid_dist")


def wide(hidden: Tensor) -> Tensor:
    """In float32 at least: differences of nearly equal numbers have few digits in bfloat16."""
    return hidden.float() if hidden.dtype in (torch.bfloat16, torch.float16) else hidden


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
