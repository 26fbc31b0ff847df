"""Time2Vec (Kazemi et al. 2019, eq. 1).

    t2v(t)_0 = w_0 t + b_0          t2v(t)_i = sin(w_i t + b_i), i > 0

w_0 begins as 1 / longest, so that the line is of the size of the sines; the other first w are spread evenly on a
logarithmic scale between two periods, and the first b are 0.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from graphstorm_like.config.time_encodings import Time2VecConfig
from graphstorm_like.models.time_encodings.base import TIME_ENCODINGS, TimeEncoding, spread_frequencies


@TIME_ENCODINGS.register(Time2VecConfig)
class Time2Vec(TimeEncoding):
    """See module."""

    def __init__(self, config: Time2VecConfig) -> None:
        super().__init__(config)
        waves = spread_frequencies(config, config.width - 1)
        self.frequency = nn.Parameter(torch.cat([torch.tensor([1.0 / config.longest]), waves]))
        self.phase = nn.Parameter(torch.zeros(config.width))

    def forward(self, ages: Tensor) -> Tensor:
        """See TimeEncoding."""
        lines = ages[:, None] * self.frequency + self.phase
        return torch.cat([lines[:, :1], torch.sin(lines[:, 1:])], dim=1)
