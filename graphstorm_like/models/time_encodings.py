"""Encodings of ages. graphstorm_like/config/time_encodings.py says when to use which."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from graphstorm_like.config.time_encodings import CosineConfig, Time2VecConfig
from graphstorm_like.registry import Registry

TIME_ENCODINGS: Registry[type[TimeEncoding]] = Registry("time encoding")


class TimeEncoding(nn.Module, ABC):
    """Has a frequency and a phase for each number."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config, self.width = config, config.width

    @abstractmethod
    def forward(self, ages: Tensor) -> Tensor:
        """See module."""


def spread_frequencies(config: Any, count: int) -> Tensor:
    """[count]: 2 pi / period, for periods from the longest to the shortest, evenly on a logarithmic scale."""
    periods = torch.logspace(math.log10(config.longest), math.log10(config.shortest), count)
    return 2.0 * math.pi / periods


@TIME_ENCODINGS.register(CosineConfig)
class Cosine(TimeEncoding):
    """TGAT's functional time encoding (Xu et al., ICLR 2020, eq. 5, as published with one learnable phase a
    frequency).

        phi(t)_i = cos(w_i t + b_i)

    The first w are spread evenly on a logarithmic scale between two periods, the first b are 0. TGAT divides by the
    root of the width; here a learnt projection follows, which sets the scale itself.
    """

    def __init__(self, config: CosineConfig) -> None:
        super().__init__(config)
        self.frequency = nn.Parameter(spread_frequencies(config, config.width))
        self.phase = nn.Parameter(torch.zeros(config.width))

    def forward(self, ages: Tensor) -> Tensor:
        """See TimeEncoding."""
        return torch.cos(ages[:, None] * self.frequency + self.phase)


@TIME_ENCODINGS.register(Time2VecConfig)
class Time2Vec(TimeEncoding):
    """Time2Vec (Kazemi et al. 2019, eq. 1).

        t2v(t)_0 = w_0 t + b_0          t2v(t)_i = sin(w_i t + b_i), i > 0

    w_0 begins as 1 / longest, so that the line is of the size of the sines; the other first w are spread evenly on a
    logarithmic scale between two periods, and the first b are 0.
    """

    def __init__(self, config: Time2VecConfig) -> None:
        super().__init__(config)
        waves = spread_frequencies(config, config.width - 1)
        self.frequency = nn.Parameter(torch.cat([torch.tensor([1.0 / config.longest]), waves]))
        self.phase = nn.Parameter(torch.zeros(config.width))

    def forward(self, ages: Tensor) -> Tensor:
        """See TimeEncoding."""
        lines = ages[:, None] * self.frequency + self.phase
        return torch.cat([lines[:, :1], torch.sin(lines[:, 1:])], dim=1)
