"""Binary cross-entropy of each class, s = sigmoid(outputs):

loss_i = mean_c -(w_c y_c log s_c + (1 - y_c) log(1 - s_c))
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from graphstorm_like.config.label_losses import BceConfig
from graphstorm_like.models.label_losses.base import LABEL_LOSSES, LabelLoss


@LABEL_LOSSES.register(BceConfig)
class Bce(LabelLoss):
    """See module."""

    def forward(self, outputs: Tensor, labels: Tensor, weights: Tensor | None = None) -> tuple[Tensor, float]:
        """See LabelLoss."""
        losses = F.binary_cross_entropy_with_logits(outputs, labels, pos_weight=weights, reduction="none")
        return losses.mean(dim=1).sum(), float(len(labels))
