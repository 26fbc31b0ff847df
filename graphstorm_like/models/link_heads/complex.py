"""ComplEx (Trouillon et al., ICML 2016): DistMult over complex numbers.

score(s, r, t) = Re sum_d h_sd w_rd conj(h_td)

The first half of a vector holds the real parts of its D / 2 complex coordinates, the second half the imaginary ones;
the score is then the inner product of h_s * w_r and h_t as real vectors. w_r starts at 1, a dot product, or normal, as
`start` says. The inverse has the conjugate weights: Re <h_s, w, conj(h_t)> = Re <h_t, conj(w), conj(h_s)>.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.link_heads import ComplexHeadConfig
from graphstorm_like.models.link_heads.base import LINK_HEADS, LinkHead, check_even, moduli, scaled


@LINK_HEADS.register(ComplexHeadConfig)
class ComplexHead(LinkHead):
    """See module. ConfigError when the vectors have an odd width."""

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
