"""Losses of link prediction: scores of B positives against their candidates -> the sum over positives."""

from __future__ import annotations

from torch import Tensor, nn

from graphstorm_like.registry import Registry

LINK_LOSSES: Registry[type[LinkLoss]] = Registry("link loss", "graphstorm_like.models.losses")


class LinkLoss(nn.Module):
    """scores [B, B + K]; mask [B, B + K]: pairs that are not negatives; in_batch: whether other edges' targets are
    negatives; log_q [B + K]: log of how often each candidate is drawn, subtracted from its scores (None: 0); weights
    [B] of the true edges, each with its negatives (None: 1).

    The true pair of row i is column i. Returns sum_i w_i loss_i, so that the trainer can divide by the global sum of
    weights. Subclasses define loss_i by `of_edges`.
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
        losses = self.of_edges(scores, mask, in_batch, log_q)
        return losses.sum() if weights is None else (losses * weights).sum()

    def of_edges(self, scores: Tensor, mask: Tensor, in_batch: bool, log_q: Tensor | None) -> Tensor:
        """[B]: the loss of each true edge and its negatives. See class."""
        raise NotImplementedError


def ignored(mask: Tensor, in_batch: bool) -> Tensor:
    """[B, B + K] pairs that are neither the true one nor a negative."""
    if in_batch:
        return mask
    out = mask.clone()
    rows = len(mask)
    out[:, :rows] = True
    out[:, :rows].fill_diagonal_(False)
    return out


def negatives(mask: Tensor, in_batch: bool) -> Tensor:
    """[B, B + K] pairs that are negatives."""
    found = ~ignored(mask, in_batch)
    found.diagonal().fill_(False)
    return found


def mean_over_negatives(terms: Tensor, mask: Tensor, in_batch: bool) -> Tensor:
    """[B, B + K] terms of pairs -> [B] their means over each row's negatives; 0 of a row without any."""
    is_negative = negatives(mask, in_batch)
    return terms.masked_fill(~is_negative, 0.0).sum(dim=1) / is_negative.sum(dim=1).clamp(min=1)
