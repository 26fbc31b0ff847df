"""TGAT's functional time encoding (Xu et al., ICLR 2020, eq. 5, as published with one learnable phase a frequency).

    phi(t)_i = cos(w_i t + b_i)

The first w are spread evenly on a logarithmic scale between two periods, the first b are 0. TGAT divides by the root of
the width; here a learnt projection follows, which sets the scale itself.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from graphstorm_like.config.time_encodings import CosineConfig
from graphstorm_like.models.time_encodings.base import TIME_ENCODINGS, TimeEncoding, spread_frequencies


@TIME_ENCODINGS.register(CosineConfig)
class Cosine(TimeEncoding):
    """See module."""

    def __init__(self, config: CosineConfig) -> None:
        super().__init__(config)
        self.frequency = nn.Parameter(spread_frequencies(config, config.width))
        self.phase = nn.Parameter(torch.zeros(config.width))

    def forward(self, ages: Tensor) -> Tensor:
        """See TimeEncoding."""
        return torch.cos(ages[:, None] * self.frequency + self.phase)
