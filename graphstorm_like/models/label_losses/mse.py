"""Squared error: e^2."""

from __future__ import annotations

from torch import Tensor

from graphstorm_like.config.label_losses import MseConfig
from graphstorm_like.models.label_losses.base import LABEL_LOSSES, NumberLoss


@LABEL_LOSSES.register(MseConfig)
class Mse(NumberLoss):
    """See module."""

    def of_errors(self, errors: Tensor) -> Tensor:
        """See NumberLoss."""
        return errors.square()
