"""Margin ranking loss (Bordes et al., NeurIPS 2013): negatives at least a margin below the true target.

loss_i = mean_{j negative of i} max(0, margin - s_ii + s_ij),   with s_ij - log q_j where q is given.

What is already ranked well has no gradient: training ends by itself, and most of many random negatives teach nothing.
A row without negatives adds nothing.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from graphstorm_like.config.link_losses import MarginConfig
from graphstorm_like.models.losses.base import LINK_LOSSES, LinkLoss, corrected, mean_over_negatives, true_pairs


@LINK_LOSSES.register(MarginConfig)
class Margin(LinkLoss):
    """See module."""

    def __init__(self, config: MarginConfig) -> None:
        super().__init__()
        self.margin = config.margin

    def of_rows(self, scores: Tensor, mask: Tensor, in_batch: bool, log_q: Tensor | None) -> Tensor:
        """See LinkLoss."""
        raised = corrected(scores.float(), log_q)
        missing = self.margin + raised - true_pairs(raised, in_batch)[:, None]
        return mean_over_negatives(F.relu(missing), mask, in_batch)
