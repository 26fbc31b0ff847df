"""TransE (Bordes et al., NeurIPS 2013): relations as translations.

score(s, r, t) = gamma - ||h_s + w_r - h_t||, the sum of absolute values (l1) or the length (l2)

w_r starts uniform in [-6 / sqrt(D), 6 / sqrt(D)], as in the paper. The inverse of a relation leads back.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.link_heads import TransEHeadConfig
from graphstorm_like.models.link_heads.base import LINK_HEADS, LinkHead, distances, scaled, wide


@LINK_HEADS.register(TransEHeadConfig)
class TransEHead(LinkHead):
    """See module."""

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
