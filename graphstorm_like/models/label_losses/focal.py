"""Focal loss (Lin et al., ICCV 2017).

One class a row:      loss_i = -w_y (1 - p_y)^gamma log p_y, p = softmax(outputs)
Several classes:      loss_i = mean_c -w'_c (1 - q_c)^gamma log q_c, q_c = sigmoid(o_c) where the row has the class,
                      else 1 - sigmoid(o_c); w'_c = w_c where it has the class, else 1
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from graphstorm_like.config.label_losses import FocalConfig
from graphstorm_like.models.label_losses.base import LABEL_LOSSES, LabelLoss


@LABEL_LOSSES.register(FocalConfig)
class Focal(LabelLoss):
    """See module."""

    def forward(self, outputs: Tensor, labels: Tensor, weights: Tensor | None = None) -> tuple[Tensor, float]:
        """See LabelLoss."""
        if labels.dim() == 2:
            signs = 2.0 * labels - 1.0
            losses = self._focal(F.logsigmoid(signs * outputs))
            if weights is not None:
                losses = losses * torch.where(labels > 0.5, weights, torch.ones_like(weights))
            return losses.mean(dim=1).sum(), float(len(labels))
        losses = self._focal(outputs.log_softmax(dim=1).gather(1, labels[:, None]).squeeze(1))
        if weights is None:
            return losses.sum(), float(len(labels))
        of_rows = weights[labels]
        return (of_rows * losses).sum(), float(of_rows.sum())

    def _focal(self, log_p: Tensor) -> Tensor:
        """-(1 - p)^gamma log p, from log p: expm1 keeps 1 - p exact for sure rows, the floor its power's gradient."""
        wrong = (-torch.expm1(log_p)).clamp(min=1e-12)
        losses: Tensor = -(wrong**self.config.gamma) * log_p
        return losses
