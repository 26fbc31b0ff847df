"""A head of your own for links that is no inner product: TransH (Wang et al., AAAI 2014).

score(s, r, t) = gamma - || P_r h_s + w_r - P_r h_t ||,   P_r h = h - <h, n_r> n_r: h on the plane of the relation

    plugins: [./link_head_transh.py]
    task: { type: link_prediction, head: { type: transh }, ... }
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType, PositiveFloat
from graphstorm_like.config.link_heads import LinkHeadConfig
from graphstorm_like.models.link_heads import LINK_HEADS, LinkHead


class TransHConfig(LinkHeadConfig):
    """TransH (Wang et al. 2014)."""

    type: Literal["transh"]
    gamma: PositiveFloat = 6.0
    """The score of a target that lies where the relation leads."""


@LINK_HEADS.register(TransHConfig)
class TransH(LinkHead):
    """See module. Targets are mapped by relation: nothing can be shared, and pairs are scored as pairs."""

    is_inner_product = False

    def __init__(self, config: TransHConfig, hidden: int, edge_types: Sequence[EdgeType]) -> None:
        super().__init__()
        self.gamma = config.gamma
        self.index = {edge_type: row for row, edge_type in enumerate(edge_types)}
        self.relations = nn.Parameter(torch.zeros(len(edge_types), hidden))
        self.normals = nn.Parameter(torch.randn(len(edge_types), hidden))

    def pair_scores(self, source: Tensor, target: Tensor, edge_type: EdgeType) -> Tensor:
        """[..., D] of both ends, which may broadcast -> [...]."""
        row = self.index[edge_type]
        normal = F.normalize(self.normals[row], dim=-1)
        apart = source.float() - target.float()
        on_plane = apart - (apart @ normal)[..., None] * normal + self.relations[row]
        # The square root has no gradient at 0.
        return self.gamma - (on_plane.square().sum(dim=-1) + 1e-12).sqrt()
