"""Token vectors -> one vector a text, by the poolings that pooling_files.py names.

In: hidden [U, L, D] and mask bool [U, L] (None: no padding), padded on either side. Out: float32 [U, D].
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Pooling = Callable[[Tensor, Tensor | None], Tensor]


def mean(hidden: Tensor, mask: Tensor | None) -> Tensor:
    """Mean over real tokens."""
    return _sum(hidden, mask) / _count(hidden, mask)


def mean_sqrt_length(hidden: Tensor, mask: Tensor | None) -> Tensor:
    """Sum over real tokens, divided by the square root of their number."""
    return _sum(hidden, mask) / _count(hidden, mask).sqrt()


def weighted_mean(hidden: Tensor, mask: Tensor | None) -> Tensor:
    """Mean over real tokens with weights 1, 2, 3, ...: a decoder's later tokens have seen more (arXiv 2202.08904)."""
    ones = torch.ones(hidden.shape[:2], device=hidden.device) if mask is None else mask.float()
    weights = ones.cumsum(dim=1) * ones
    return torch.einsum("uld,ul->ud", hidden.float(), weights / weights.sum(dim=1, keepdim=True))


def cls(hidden: Tensor, mask: Tensor | None) -> Tensor:
    """The first real token."""
    first = 0 if mask is None else mask.int().argmax(dim=1)
    return hidden[torch.arange(len(hidden), device=hidden.device), first].float()


def last_token(hidden: Tensor, mask: Tensor | None) -> Tensor:
    """The last real token: the only one of a decoder that has seen the whole text."""
    length = hidden.shape[1]
    last = length - 1 if mask is None else length - 1 - mask.flip(1).int().argmax(dim=1)
    return hidden[torch.arange(len(hidden), device=hidden.device), last].float()


def maximum(hidden: Tensor, mask: Tensor | None) -> Tensor:
    """Largest value of every dimension over real tokens."""
    if mask is not None:
        hidden = hidden.masked_fill(~mask.bool().unsqueeze(-1), float("-inf"))
    return hidden.amax(dim=1).float()


POOLINGS: dict[str, Pooling] = {
    "mean": mean,
    "cls": cls,
    "last_token": last_token,
    "max": maximum,
    "weighted_mean": weighted_mean,
    "mean_sqrt_length": mean_sqrt_length,
}


def _sum(hidden: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return hidden.sum(dim=1, dtype=torch.float32)
    # A batched product reads bf16 once and adds up in float32: no masked copy of hidden is made.
    return torch.bmm(mask.to(hidden.dtype).unsqueeze(1), hidden).squeeze(1).float()


def _count(hidden: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return torch.tensor(float(hidden.shape[1]), device=hidden.device)
    return mask.sum(dim=1, keepdim=True).float().clamp(min=1.0)
