"""Heads that score links. graphstorm_like/config/link_heads.py says when to use which."""

from __future__ import annotations

import math
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
from graphstorm_like.config.link_heads import (
    BilinearHeadConfig,
    ComplexHeadConfig,
    DistMultHeadConfig,
    DotHeadConfig,
    MlpHeadConfig,
    RotateHeadConfig,
    TransEHeadConfig,
    TwoTowerHeadConfig,
)
from graphstorm_like.errors import ConfigError
from graphstorm_like.registry import Registry

LINK_HEADS: Registry[type[LinkHead]] = Registry("link head")

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


@LINK_HEADS.register(BilinearHeadConfig)
class BilinearHead(LinkHead):
    """A bilinear form a relation (RESCAL, Nickel et al., ICML 2011), over shared bases (Schlichtkrull et al., ESWC
    2018).

    score(s, r, t) = h_s' W_r h_t,   W_r = sum_b a_rb V_b

    V_0 starts as the identity and a_r0 at 1, the other bases and weights small: nearly a dot product, from which the
    relations learn to differ. The inverse of a relation has the transposed matrix.

    `relations` [R, bases] holds the weights a_r.
    """

    targets_alike = True

    def __init__(self, config: BilinearHeadConfig, hidden: int, edge_types: Sequence[EdgeType]) -> None:
        super().__init__()
        self.normalize = config.normalize
        self.index = {t: i for i, t in enumerate(edge_types)}
        matrices = torch.randn(config.bases, hidden, hidden) * hidden**-0.5
        matrices[0] = torch.eye(hidden)
        weights = torch.randn(len(edge_types), config.bases) * 0.3
        weights[:, 0] = 1.0
        self.bases, self.relations = nn.Parameter(matrices), nn.Parameter(weights)

    def source(self, hidden: Tensor, edge_type: EdgeType) -> Tensor:
        """See LinkHead: W_r' h."""
        row, transposes = self.row_of(edge_type)
        matrix = torch.einsum("b,bij->ij", self.relations[row], self.bases)
        return self.target(hidden, edge_type) @ (matrix.T if transposes else matrix)

    def target(self, hidden: Tensor, edge_type: EdgeType) -> Tensor:
        """See LinkHead."""
        return scaled(hidden, self.normalize)


@LINK_HEADS.register(ComplexHeadConfig)
class ComplexHead(LinkHead):
    """ComplEx (Trouillon et al., ICML 2016): DistMult over complex numbers.

    score(s, r, t) = Re sum_d h_sd w_rd conj(h_td)

    The first half of a vector holds the real parts of its D / 2 complex coordinates, the second half the imaginary
    ones; the score is then the inner product of h_s * w_r and h_t as real vectors. w_r starts at 1, a dot product, or
    normal, as `start` says. The inverse has the conjugate weights: Re <h_s, w, conj(h_t)> = Re <h_t, conj(w),
    conj(h_s)>.

    ConfigError when the vectors have an odd width.
    """

    combines = True
    targets_alike = True

    def __init__(self, config: ComplexHeadConfig, hidden: int, edge_types: Sequence[EdgeType]) -> None:
        super().__init__()
        check_even(hidden, "complex")
        self.normalize = config.normalize
        self.index = {t: i for i, t in enumerate(edge_types)}
        shape = (len(edge_types), hidden // 2)
        is_random = config.start == "random"
        real, imaginary = torch.randn(2, *shape) if is_random else (torch.ones(shape), torch.zeros(shape))
        self.relations = nn.Parameter(torch.cat([real, imaginary], dim=1))

    def combine(self, hidden: Tensor, weights: Tensor, sign: Tensor | float) -> Tensor:
        """See LinkHead: h * w, of inverses h * conj(w)."""
        weight_real, weight_imaginary = weights.chunk(2, dim=-1)
        weight_imaginary = weight_imaginary * sign
        real, imaginary = scaled(hidden, self.normalize).chunk(2, dim=-1)
        product_real = real * weight_real - imaginary * weight_imaginary
        product_imaginary = real * weight_imaginary + imaginary * weight_real
        return torch.cat([product_real, product_imaginary], dim=-1)

    def target(self, hidden: Tensor, edge_type: EdgeType) -> Tensor:
        """See LinkHead."""
        return scaled(hidden, self.normalize)

    def moduli(self, rows: Tensor) -> Tensor:
        """See LinkHead."""
        return moduli(rows)


@LINK_HEADS.register(DistMultHeadConfig)
class DistMultHead(LinkHead):
    """score(s, r, t) = <h_s * w_r, h_t> (Yang et al., ICLR 2015); ends of unit length when `normalize`.

    w_r starts at 1 (a dot product, from which the relations learn to differ), or normal, as `start` says. The score is
    symmetric, and the inverse of a relation has its weights.
    """

    combines = True
    targets_alike = True

    def __init__(self, config: DistMultHeadConfig, hidden: int, edge_types: Sequence[EdgeType]) -> None:
        super().__init__()
        self.normalize = config.normalize
        self.index = {t: i for i, t in enumerate(edge_types)}
        shape = (len(edge_types), hidden)
        self.relations = nn.Parameter(torch.randn(shape) if config.start == "random" else torch.ones(shape))

    def combine(self, hidden: Tensor, weights: Tensor, sign: Tensor | float) -> Tensor:
        """See LinkHead."""
        return scaled(hidden, self.normalize) * weights

    def target(self, hidden: Tensor, edge_type: EdgeType) -> Tensor:
        """See LinkHead."""
        return scaled(hidden, self.normalize)

    def moduli(self, rows: Tensor) -> Tensor:
        """See LinkHead."""
        return rows.abs()


@LINK_HEADS.register(DotHeadConfig)
class DotHead(LinkHead):
    """score(s, t) = <P_s h_s, P_t h_t>, of unit length when `normalize`; P = I unless `directed`. All relations have
    the same score, and inverses the two ends swapped."""

    targets_alike = True

    def __init__(self, config: DotHeadConfig, hidden: int, edge_types: Sequence[EdgeType]) -> None:
        super().__init__()
        self.normalize = config.normalize
        self.ends_differ = config.directed
        self.ends = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(2)) if config.directed else None
        if not config.directed:
            self.plain_similarity = "cosine" if config.normalize else "inner_product"

    def _end(self, hidden: Tensor, end: int) -> Tensor:
        mapped = hidden if self.ends is None else self.ends[end](hidden)
        return F.normalize(mapped, dim=-1) if self.normalize else mapped

    def source(self, hidden: Tensor, edge_type: EdgeType) -> Tensor:
        """See LinkHead."""
        return self._end(hidden, int(is_inverse(edge_type)))

    def target(self, hidden: Tensor, edge_type: EdgeType) -> Tensor:
        """See LinkHead."""
        return self._end(hidden, int(not is_inverse(edge_type)))


@LINK_HEADS.register(MlpHeadConfig)
class MlpHead(LinkHead):
    """A network on both ends and the relation (ER-MLP, Dong et al., KDD 2014, section 3.2.2).

    score(s, r, t) = v' tanh(A h_s + B h_t + w_r)

    The hidden layer is a sum over the ends, so that each end is mapped once and not once a pair. The inverse of a
    relation has the ends swapped.

    `relations` [R, D] holds w_r, which starts at 0.
    """

    is_inner_product = False
    targets_alike = True
    ends_differ = True

    def __init__(self, config: MlpHeadConfig, hidden: int, edge_types: Sequence[EdgeType]) -> None:
        super().__init__()
        self.index = {t: i for i, t in enumerate(edge_types)}
        self.ends = nn.ModuleList(nn.Linear(hidden, hidden, bias=False) for _ in range(2))
        self.relations = nn.Parameter(torch.zeros(len(edge_types), hidden))
        self.weight = nn.Parameter(torch.randn(hidden) * hidden**-0.5)

    def source(self, hidden: Tensor, edge_type: EdgeType) -> Tensor:
        """See LinkHead: the source's part of the hidden layer, and the relation's."""
        mapped: Tensor = self.ends[int(is_inverse(edge_type))](hidden)
        return mapped + self.relations[self.row_of(edge_type)[0]]

    def target(self, hidden: Tensor, edge_type: EdgeType) -> Tensor:
        """See LinkHead: the target's part of the hidden layer."""
        mapped: Tensor = self.ends[int(not is_inverse(edge_type))](hidden)
        return mapped

    def compare(self, queries: Tensor, keys: Tensor) -> Tensor:
        """See LinkHead."""
        return (torch.tanh(queries + keys) * self.weight).sum(dim=-1)


@LINK_HEADS.register(RotateHeadConfig)
class RotateHead(LinkHead):
    """RotatE (Sun et al., ICLR 2019): relations as rotations in the complex plane.

    score(s, r, t) = gamma - sum_d | h_sd e^(i theta_rd) - h_td |            norm l1
                   = gamma - (sum_d | h_sd e^(i theta_rd) - h_td |^2)^(1/2)  norm l2

    The first half of a vector holds the real parts of its D / 2 complex coordinates, the second half the imaginary
    ones. The sum of the coordinates' moduli is the authors' norm. Angles start uniform in [-pi, pi]. The inverse of a
    relation turns back.

    ConfigError when the vectors have an odd width.
    """

    is_inner_product = False
    combines = True
    targets_alike = True

    def __init__(self, config: RotateHeadConfig, hidden: int, edge_types: Sequence[EdgeType]) -> None:
        super().__init__()
        check_even(hidden, "rotate")
        self.gamma, self.normalize = config.gamma, config.normalize
        self.sums_moduli = config.norm == "l1"
        self.index = {t: i for i, t in enumerate(edge_types)}
        self.relations = nn.Parameter(torch.empty(len(edge_types), hidden // 2).uniform_(-math.pi, math.pi))

    def combine(self, hidden: Tensor, weights: Tensor, sign: Tensor | float) -> Tensor:
        """See LinkHead: the rotated vectors."""
        real, imaginary = self._end(hidden).chunk(2, dim=-1)
        cos, sin = weights.cos(), weights.sin() * sign
        return torch.cat([real * cos - imaginary * sin, real * sin + imaginary * cos], dim=-1)

    def target(self, hidden: Tensor, edge_type: EdgeType) -> Tensor:
        """See LinkHead."""
        return self._end(hidden)

    def compare(self, queries: Tensor, keys: Tensor) -> Tensor:
        """See LinkHead."""
        difference = queries - keys
        if self.sums_moduli:
            return self.gamma - moduli(difference).sum(dim=-1)
        lengths: Tensor = torch.linalg.vector_norm(difference, dim=-1)
        return self.gamma - lengths

    def compare_all(self, queries: Tensor, keys: Tensor) -> Tensor:
        """See LinkHead."""
        if self.sums_moduli:
            return super().compare_all(queries, keys)
        return self.gamma - distances(queries, keys, 2.0)

    def _end(self, hidden: Tensor) -> Tensor:
        hidden = wide(hidden)
        return scaled(hidden, self.normalize)


@LINK_HEADS.register(TransEHeadConfig)
class TransEHead(LinkHead):
    """TransE (Bordes et al., NeurIPS 2013): relations as translations.

    score(s, r, t) = gamma - ||h_s + w_r - h_t||, the sum of absolute values (l1) or the length (l2)

    w_r starts uniform in [-6 / sqrt(D), 6 / sqrt(D)], as in the paper. The inverse of a relation leads back.
    """

    is_inner_product = False
    combines = True
    targets_alike = True

    def __init__(self, config: TransEHeadConfig, hidden: int, edge_types: Sequence[EdgeType]) -> None:
        super().__init__()
        self.gamma, self.normalize = config.gamma, config.normalize
        self.power = 1.0 if config.norm == "l1" else 2.0
        self.index = {t: i for i, t in enumerate(edge_types)}
        bound = 6 / hidden**0.5
        self.relations = nn.Parameter(torch.empty(len(edge_types), hidden).uniform_(-bound, bound))

    def combine(self, hidden: Tensor, weights: Tensor, sign: Tensor | float) -> Tensor:
        """See LinkHead: where the relation leads from here."""
        return scaled(wide(hidden), self.normalize) + weights * sign

    def target(self, hidden: Tensor, edge_type: EdgeType) -> Tensor:
        """See LinkHead."""
        hidden = wide(hidden)
        return scaled(hidden, self.normalize)

    def compare(self, queries: Tensor, keys: Tensor) -> Tensor:
        """See LinkHead."""
        lengths: Tensor = torch.linalg.vector_norm(queries - keys, ord=self.power, dim=-1)
        return self.gamma - lengths

    def compare_all(self, queries: Tensor, keys: Tensor) -> Tensor:
        """See LinkHead."""
        return self.gamma - distances(queries, keys, self.power)


@LINK_HEADS.register(TwoTowerHeadConfig)
class TwoTowerHead(LinkHead):
    """Two towers: a network for sources, one for targets, compared by inner product (Huang et al., CIKM 2013).

    score(s, r, t) = <f(h_s) * w_r, g(h_t)>,   f, g: linear, ReLU, linear; outputs of unit length when `normalize`

    w_r starts at 1. The inverse of a relation has its weights and the towers swapped.
    """

    targets_alike = True
    ends_differ = True

    def __init__(self, config: TwoTowerHeadConfig, hidden: int, edge_types: Sequence[EdgeType]) -> None:
        super().__init__()
        self.normalize = config.normalize
        self.index = {t: i for i, t in enumerate(edge_types)}
        self.relations = nn.Parameter(torch.ones(len(edge_types), hidden))
        self.towers = nn.ModuleList(
            nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, hidden)) for _ in range(2)
        )

    def source(self, hidden: Tensor, edge_type: EdgeType) -> Tensor:
        """See LinkHead."""
        mapped = self._tower(hidden, int(is_inverse(edge_type)))
        return mapped * self.relations[self.row_of(edge_type)[0]]

    def target(self, hidden: Tensor, edge_type: EdgeType) -> Tensor:
        """See LinkHead."""
        return self._tower(hidden, int(not is_inverse(edge_type)))

    def _tower(self, hidden: Tensor, end: int) -> Tensor:
        mapped: Tensor = self.towers[end](hidden)
        return F.normalize(mapped, dim=-1) if self.normalize else mapped
