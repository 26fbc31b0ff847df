"""Jumping knowledge (Xu et al., ICML 2018): what leaves a network is made of the vectors of all its layers.

max:     h_i = max over layers l of h_i^(l), coordinate by coordinate
concat:  h_i = W [ h_i^(1) | ... | h_i^(L) ] + b, as a sum of W_l h_i^(l)

Both add up layer by layer, so that inference over a whole graph keeps one vector a node and not one a layer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class JumpingKnowledge(nn.Module):
    """Takes the layers' vectors one after the other."""

    def __init__(self, kind: str, hidden: int, layers: int) -> None:
        super().__init__()
        self.maps = nn.ModuleList()
        if kind == "concat":
            of_all = nn.Linear(layers * hidden, hidden)  # for the scale of its first weights
            for number, weight in enumerate(torch.split(of_all.weight.detach(), hidden, dim=1)):
                part = nn.Linear(hidden, hidden, bias=number == 0)
                part.weight.data.copy_(weight)
                if number == 0:
                    part.bias.data.copy_(of_all.bias.detach())
                self.maps.append(part)

    def forward(self, layer: int, hidden: Tensor, joined: Tensor | None) -> Tensor:
        """hidden [n, D] of one layer; joined [n, D]: what the layers before gave, None before the first."""
        part: Tensor = self.maps[layer](hidden) if len(self.maps) else hidden
        if joined is None:
            return part
        return joined + part if len(self.maps) else torch.maximum(joined, part)
