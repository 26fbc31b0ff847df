"""Losses of link prediction: scores of B positives against their candidates -> the sum over positives."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from graphstorm_like.registry import Registry

LINK_LOSSES: Registry[type[LinkLoss]] = Registry("link loss", "graphstorm_like.models.losses")


class LinkLoss(nn.Module):
    """scores [B, C] of B true edges against their candidates; mask [B, C]: pairs that are not negatives; in_batch:
    whether other edges' targets are negatives; log_q [C] or [B, C]: log of how often each candidate is drawn,
    subtracted from its scores (None: 0); weights [B] of the true edges, each with its negatives (None: 1).

    With in_batch, C is B + K, and the true pair of row i is column i; without, C is 1 + K, and it is column 0 of each
    row. The mask is False there. Returns sum_i w_i loss_i, so that the trainer can divide by the global sum of weights.
    Subclasses define loss_i by `of_rows`.
    """

    def forward(
        self,
        scores: Tensor,
        mask: Tensor,
        in_batch: bool,
        log_q: Tensor | None = None,
        weights: Tensor | None = None,
    ) -> Tensor:
        """See class."""
        losses = self.of_rows(scores, mask, in_batch, log_q)
        return losses.sum() if weights is None else (losses * weights).sum()

    def of_rows(self, scores: Tensor, mask: Tensor, in_batch: bool, log_q: Tensor | None) -> Tensor:
        """[B]: the loss of each true edge and its negatives. See class."""
        raise NotImplementedError


def corrected(logits: Tensor, log_q: Tensor | None) -> Tensor:
    """Without the log of how often each candidate is drawn, if that is known."""
    return logits if log_q is None else logits - log_q


def true_pairs(values: Tensor, in_batch: bool) -> Tensor:
    """[B, C] of all pairs -> [B] of the true ones, a view."""
    return values.diagonal() if in_batch else values[:, 0]


def true_columns(values: Tensor, in_batch: bool) -> Tensor:
    """[B]: which column of [B, C] each row's true pair is."""
    rows = len(values)
    return torch.arange(rows, device=values.device) if in_batch else torch.zeros_like(values[:, 0], dtype=torch.long)


def negatives(mask: Tensor, in_batch: bool) -> Tensor:
    """[B, C] pairs that are negatives."""
    found = ~mask
    true_pairs(found, in_batch).fill_(False)
    return found


def mean_over_negatives(terms: Tensor, mask: Tensor, in_batch: bool) -> Tensor:
    """[B, C] terms of pairs -> [B] their means over each row's negatives; 0 of a row without any."""
    is_negative = negatives(mask, in_batch)
    return terms.masked_fill(~is_negative, 0.0).sum(dim=1) / is_negative.sum(dim=1).clamp(min=1)
