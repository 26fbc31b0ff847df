"""Inner products of both ends' vectors."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.inverses import is_inverse
from graphstorm_like.config.link_heads import DotHeadConfig
from graphstorm_like.models.link_heads.base import LINK_HEADS, LinkHead


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
