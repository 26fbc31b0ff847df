"""Two towers: a network for sources, one for targets, compared by inner product (Huang et al., CIKM 2013).

score(s, r, t) = <f(h_s) * w_r, g(h_t)>,   f, g: linear, ReLU, linear; outputs of unit length when `normalize`

w_r starts at 1. The inverse of a relation has its weights and the towers swapped.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.inverses import is_inverse
from graphstorm_like.config.link_heads import TwoTowerHeadConfig
from graphstorm_like.models.link_heads.base import LINK_HEADS, LinkHead


@LINK_HEADS.register(TwoTowerHeadConfig)
class TwoTowerHead(LinkHead):
    """See module."""

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
