"""DistMult (Yang et al., ICLR 2015): an inner product with weights of the relation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.link_heads import DistMultHeadConfig
from graphstorm_like.models.link_heads.base import LINK_HEADS, LinkHead, scaled


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
