"""Bayesian personalised ranking (Rendle et al., UAI 2009): -log of the chance that the true target ranks first of two.

loss_i = -mean_{j negative of i} log sigmoid( (s_ii - s_ij) / T ),   with s_ij / T - log q_j where q is given.

Unlike InfoNCE each negative is a comparison of its own: the hardest ones do not take the gradient of the others. A row
without negatives adds nothing.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from graphstorm_like.config.link_losses import BprConfig
from graphstorm_like.models.losses.base import LINK_LOSSES, LinkLoss, corrected, mean_over_negatives, true_pairs


@LINK_LOSSES.register(BprConfig)
class Bpr(LinkLoss):
    """See module."""

    def __init__(self, config: BprConfig) -> None:
        super().__init__()
        self.temperature = config.temperature

    def of_rows(self, scores: Tensor, mask: Tensor, in_batch: bool, log_q: Tensor | None) -> Tensor:
        """See LinkLoss."""
        logits = corrected(scores.float() / self.temperature, log_q)
        return mean_over_negatives(F.softplus(logits - true_pairs(logits, in_batch)[:, None]), mask, in_batch)
