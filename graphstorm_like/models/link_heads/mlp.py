"""A network on both ends and the relation (ER-MLP, Dong et al., KDD 2014, section 3.2.2).

score(s, r, t) = v' tanh(A h_s + B h_t + w_r)

The hidden layer is a sum over the ends, so that each end is mapped once and not once a pair. The inverse of a relation
has the ends swapped.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.inverses import is_inverse
from graphstorm_like.config.link_heads import MlpHeadConfig
from graphstorm_like.models.link_heads.base import LINK_HEADS, LinkHead


@LINK_HEADS.register(MlpHeadConfig)
class MlpHead(LinkHead):
    """See module. `relations` [R, D] holds w_r, which starts at 0."""

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
