"""A bilinear form a relation (RESCAL, Nickel et al., ICML 2011), over shared bases (Schlichtkrull et al., ESWC 2018).

score(s, r, t) = h_s' W_r h_t,   W_r = sum_b a_rb V_b

V_0 starts as the identity and a_r0 at 1, the other bases and weights small: nearly a dot product, from which the
relations learn to differ. The inverse of a relation has the transposed matrix.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.link_heads import BilinearHeadConfig
from graphstorm_like.models.link_heads.base import LINK_HEADS, LinkHead, scaled


@LINK_HEADS.register(BilinearHeadConfig)
class BilinearHead(LinkHead):
    """See module. `relations` [R, bases] holds the weights a_r."""

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
