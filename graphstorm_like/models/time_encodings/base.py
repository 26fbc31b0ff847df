"""Ages [N] -> vectors [N, width]. Ages are in days, or in the unit of numbers that times are."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from graphstorm_like.registry import Registry

TIME_ENCODINGS: Registry[type[TimeEncoding]] = Registry("time encoding", "graphstorm_like.models.time_encodings")


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
