"""Huber loss (Huber 1964): e^2 / 2 where |e| <= delta, else delta (|e| - delta / 2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from graphstorm_like.config.label_losses import HuberConfig
from graphstorm_like.models.label_losses.base import LABEL_LOSSES, NumberLoss


@LABEL_LOSSES.register(HuberConfig)
class Huber(NumberLoss):
    """See module."""

    def of_errors(self, errors: Tensor) -> Tensor:
        """See NumberLoss."""
        return F.huber_loss(errors, torch.zeros_like(errors), reduction="none", delta=self.config.delta)
