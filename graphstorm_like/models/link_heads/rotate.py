"""RotatE (Sun et al., ICLR 2019): relations as rotations in the complex plane.

score(s, r, t) = gamma - sum_d | h_sd e^(i theta_rd) - h_td |            norm l1
               = gamma - (sum_d | h_sd e^(i theta_rd) - h_td |^2)^(1/2)  norm l2

The first half of a vector holds the real parts of its D / 2 complex coordinates, the second half the imaginary ones.
The sum of the coordinates' moduli is the authors' norm. Angles start uniform in [-pi, pi]. The inverse
of a relation turns back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.link_heads import RotateHeadConfig
from graphstorm_like.models.link_heads.base import LINK_HEADS, LinkHead, check_even, distances, moduli, scaled, wide


@LINK_HEADS.register(RotateHeadConfig)
class RotateHead(LinkHead):
    """See module. ConfigError when the vectors have an odd width."""

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
