"""Softmax cross-entropy: loss_i = -w_y log p_i[y_i]; with smoothing e the label is (1 - e) y + e / C.

Szegedy et al., CVPR 2016 (label smoothing). Weights are those of the row's class: the total is sum_i w_{y_i}.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from graphstorm_like.config.label_losses import ClassCrossEntropyConfig
from graphstorm_like.models.label_losses.base import LABEL_LOSSES, LabelLoss


@LABEL_LOSSES.register(ClassCrossEntropyConfig)
class ClassCrossEntropy(LabelLoss):
    """See module."""

    def forward(self, outputs: Tensor, labels: Tensor, weights: Tensor | None = None) -> tuple[Tensor, float]:
        """See LabelLoss."""
        smoothing = self.config.label_smoothing
        loss = F.cross_entropy(outputs, labels, weights, reduction="sum", label_smoothing=smoothing)
        return loss, float(len(labels)) if weights is None else float(weights[labels].sum())
