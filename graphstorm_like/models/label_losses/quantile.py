"""Pinball loss (Koenker and Bassett 1978): q u where u = label - prediction is positive, else (q - 1) u."""

from __future__ import annotations

import torch
from torch import Tensor

from graphstorm_like.config.label_losses import QuantileLossConfig
from graphstorm_like.models.label_losses.base import LABEL_LOSSES, NumberLoss


@LABEL_LOSSES.register(QuantileLossConfig)
class QuantileLoss(NumberLoss):
    """See module."""

    def of_errors(self, errors: Tensor) -> Tensor:
        """See NumberLoss."""
        quantile = self.config.quantile
        return torch.maximum(-quantile * errors, (1.0 - quantile) * errors)
