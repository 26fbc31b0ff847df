"""InfoNCE (van den Oord et al. 2018): -log softmax of the true target among its candidates.

loss_i = -log( exp(s_ii / T) / sum_{j not masked} exp(s_ij / T) ), with s_ij / T - log q_j where q is given.

Needs many negatives, and vectors of unit length (T = 0.05 .. 0.2).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from graphstorm_like.config.link_losses import InfoNceConfig
from graphstorm_like.models.losses.base import LINK_LOSSES, LinkLoss, corrected, true_columns


@LINK_LOSSES.register(InfoNceConfig)
class InfoNce(LinkLoss):
    """See module."""

    def __init__(self, config: InfoNceConfig) -> None:
        super().__init__()
        self.temperature = config.temperature

    def of_rows(self, scores: Tensor, mask: Tensor, in_batch: bool, log_q: Tensor | None) -> Tensor:
        """See LinkLoss."""
        logits = corrected(scores.float() / self.temperature, log_q)
        logits = logits.masked_fill(mask, float("-inf"))
        return F.cross_entropy(logits, true_columns(logits, in_batch), reduction="none")
