"""Binary cross-entropy with negatives that weigh by the model's own scores (Sun et al., RotatE, ICLR 2019, equation 5).

z_ij = a s_ij + b (- log q_j),   p_ij = softmax over the negatives j of i of alpha z_ij, without gradient
loss_i = -log sigmoid(z_ii) - sum_{j negative of i} p_ij log sigmoid(-z_ij)

Scale a and bias b are learnt, as in cross_entropy, of which this is the case alpha = 0. A row without negatives has the
first part alone.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from graphstorm_like.config.link_losses import SelfAdversarialConfig
from graphstorm_like.models.losses.base import LINK_LOSSES, LinkLoss, corrected, negatives, true_pairs


@LINK_LOSSES.register(SelfAdversarialConfig)
class SelfAdversarial(LinkLoss):
    """See module."""

    def __init__(self, config: SelfAdversarialConfig) -> None:
        super().__init__()
        self.sharpness = config.sharpness
        self.scale = nn.Parameter(torch.tensor(5.0))
        self.bias = nn.Parameter(torch.tensor(0.0))

    def of_rows(self, scores: Tensor, mask: Tensor, in_batch: bool, log_q: Tensor | None) -> Tensor:
        """See LinkLoss."""
        logits = corrected(scores.float() * self.scale + self.bias, log_q)
        is_negative = negatives(mask, in_batch)
        # The lowest number and not -inf, whose softmax over a row without negatives is NaN.
        hardness = (self.sharpness * logits.detach()).masked_fill(~is_negative, torch.finfo(logits.dtype).min)
        weights = hardness.softmax(dim=1) * is_negative
        return F.softplus(-true_pairs(logits, in_batch)) + (weights * F.softplus(logits)).sum(dim=1)
