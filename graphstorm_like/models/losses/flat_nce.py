"""FlatNCE (Chen et al. 2021, "Simpler, Faster, Stronger"): the log odds of the negatives, learnt without saturation.

v_i = log sum_{j negative of i} exp( (s_ij - s_ii) / T ),   loss_i = exp(v_i - stop(v_i)), stop: without gradient

with s_ij / T - log q_j where q is given. InfoNCE is log(1 + exp(v_i)), whose gradient is that of v_i times 1 - p_i, for
p_i the probability of the true target: once p_i rounds to 1 nothing is left of it. Here the gradient is that of v_i:
weights over the negatives alone, which sum to 1, and -1 for the true target. The value itself would always be 1;
InfoNCE's value is reported instead, without a gradient. A row without negatives adds nothing.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from graphstorm_like.config.link_losses import FlatNceConfig
from graphstorm_like.models.losses.base import LINK_LOSSES, LinkLoss, corrected, negatives, true_pairs


@LINK_LOSSES.register(FlatNceConfig)
class FlatNce(LinkLoss):
    """See module."""

    def __init__(self, config: FlatNceConfig) -> None:
        super().__init__()
        self.temperature = config.temperature

    def of_rows(self, scores: Tensor, mask: Tensor, in_batch: bool, log_q: Tensor | None) -> Tensor:
        """See LinkLoss."""
        logits = corrected(scores.float() / self.temperature, log_q)
        # The true pair must not be among the negatives: with it the gradient would be InfoNCE's again.
        not_negative = ~negatives(mask, in_batch)
        has_negatives = ~not_negative.all(dim=1)  # the log of an empty sum is -inf, and its gradient NaN
        of_negatives = logits[has_negatives].masked_fill(not_negative[has_negatives], float("-inf"))
        odds = torch.logsumexp(of_negatives - true_pairs(logits, in_batch)[has_negatives, None], dim=1)
        info_nce = F.softplus(odds.detach())
        found = info_nce + torch.exp(odds - odds.detach()) - 1.0
        return found.new_zeros(len(logits)).masked_scatter(has_negatives, found)
