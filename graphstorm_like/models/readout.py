"""Vectors of the members of sets -> one vector a set.

mean, sum, max: of each number. attention (gated like Li et al. 2016): sum_i a_i h_i with a = softmax over the set of
w . tanh(W h_i). A set without members is 0.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Readout(nn.Module):
    """Rows [M, D], numbers of their sets [M], number of sets S -> [S, D]."""

    def __init__(self, how: str, hidden: int) -> None:
        super().__init__()
        self.how = how
        self.gate = (
            nn.Sequential(nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, 1)) if how == "attention" else None
        )

    def forward(self, rows: Tensor, sets: Tensor, count: int) -> Tensor:
        """See class."""
        zeros = rows.new_zeros(count, rows.shape[1])
        if self.how == "max":
            index = sets[:, None].expand_as(rows)
            return zeros.scatter_reduce(0, index, rows, "amax", include_self=False)
        if self.how == "sum":
            return zeros.index_add(0, sets, rows)
        weights = self._weights(rows, sets, count)
        return zeros.index_add(0, sets, rows * weights[:, None].to(rows.dtype))

    def _weights(self, rows: Tensor, sets: Tensor, count: int) -> Tensor:
        """[M] of a mean over each set."""
        scores = rows.new_zeros(len(rows)) if self.gate is None else self.gate(rows).squeeze(1).float()
        highest = scores.new_zeros(count).scatter_reduce(0, sets, scores.detach(), "amax", include_self=False)
        exponents = torch.exp(scores - highest[sets])
        totals = exponents.new_zeros(count).index_add(0, sets, exponents)
        return exponents / totals[sets]
