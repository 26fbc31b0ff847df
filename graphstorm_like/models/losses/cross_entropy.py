"""Binary cross-entropy over pairs, with the same total weight for a row's positives and negatives.

loss_i = -log sigmoid(a s_ii + b) - mean_{j negative of i} log sigmoid(-(a s_ij + b))

With q, a s_ij + b - log q_j (noise-contrastive estimation). Scale a and bias b are learnt (as in SigLIP, Zhai et al.
2023): cosines alone could not saturate the sigmoid.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from graphstorm_like.config.link_losses import CrossEntropyConfig
from graphstorm_like.models.losses.base import LINK_LOSSES, LinkLoss, corrected, mean_over_negatives, true_pairs


@LINK_LOSSES.register(CrossEntropyConfig)
class CrossEntropy(LinkLoss):
    """See module."""

    def __init__(self, config: CrossEntropyConfig) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(5.0))
        self.bias = nn.Parameter(torch.tensor(0.0))

    def of_rows(self, scores: Tensor, mask: Tensor, in_batch: bool, log_q: Tensor | None) -> Tensor:
        """See LinkLoss."""
        logits = corrected(scores.float() * self.scale + self.bias, log_q)
        of_true = F.softplus(-true_pairs(logits, in_batch))
        return of_true + mean_over_negatives(F.softplus(logits), mask, in_batch)
