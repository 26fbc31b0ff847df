"""What is read off both ends' vectors of an edge: linear, or an MLP."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class EdgeHead(nn.Module):
    """[B, D] of sources and of targets -> [B, outputs], from [h_s, h_t, h_s * h_t]: s -> t and t -> s differ."""

    def __init__(self, hidden: int, outputs: int, layers: int = 2) -> None:
        super().__init__()
        widths = [3 * hidden, *[hidden] * (layers - 1)]
        stack: list[nn.Module] = []
        for width in widths[:-1]:
            stack += [nn.Linear(width, hidden), nn.ReLU()]
        self.stack = nn.Sequential(*stack, nn.Linear(widths[-1], outputs))

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """See class."""
        out: Tensor = self.stack(torch.cat([source, target, source * target], dim=-1))
        return out
