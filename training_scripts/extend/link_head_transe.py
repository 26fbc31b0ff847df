"""A head of your own for links that is no inner product: TransE (Bordes et al., NeurIPS 2013).

score(s, r, t) = gamma - || h_s + w_r - h_t ||

    plugins: [./link_head_transe.py]
    task: { type: link_prediction, head: { type: transe }, ... }
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType, PositiveFloat
from graphstorm_like.config.link_heads import LinkHeadConfig
from graphstorm_like.models.link_heads import LINK_HEADS, LinkHead


class TransEConfig(LinkHeadConfig):
    """TransE (Bordes et al. 2013)."""

    type: Literal["transe"]
    gamma: PositiveFloat = 6.0
    """The score of a target that lies where the relation leads."""


@LINK_HEADS.register(TransEConfig)
class TransE(LinkHead):
    """See module."""

    is_inner_product = False
    targets_alike = True

    def __init__(self, config: TransEConfig, hidden: int, edge_types: Sequence[EdgeType]) -> None:
        super().__init__()
        self.gamma = config.gamma
        self.index = {edge_type: row for row, edge_type in enumerate(edge_types)}
        self.relations = nn.Parameter(torch.zeros(len(edge_types), hidden))

    def source(self, hidden: Tensor, edge_type: EdgeType) -> Tensor:
        """[..., D] -> [..., D]: where the relation leads from here."""
        return hidden.float() + self.relations[self.index[edge_type]]

    def target(self, hidden: Tensor, edge_type: EdgeType) -> Tensor:
        """[..., D] as it is."""
        return hidden.float()

    def pair_scores(self, source: Tensor, target: Tensor, edge_type: EdgeType) -> Tensor:
        """[..., D] of both ends, which may broadcast -> [...]."""
        apart = self.source(source, edge_type) - self.target(target, edge_type)
        # The square root has no gradient at 0.
        return self.gamma - (apart.square().sum(dim=-1) + 1e-12).sqrt()
