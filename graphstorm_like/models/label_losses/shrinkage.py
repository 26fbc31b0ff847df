"""Shrinkage loss (Lu et al., ECCV 2018): e^2 / (1 + exp(a (c - |e|)))."""

from __future__ import annotations

from torch import Tensor

from graphstorm_like.config.label_losses import ShrinkageConfig
from graphstorm_like.models.label_losses.base import LABEL_LOSSES, NumberLoss


@LABEL_LOSSES.register(ShrinkageConfig)
class Shrinkage(NumberLoss):
    """See module."""

    def of_errors(self, errors: Tensor) -> Tensor:
        """See NumberLoss."""
        hardness: Tensor = (self.config.a * (errors.abs() - self.config.c)).sigmoid()
        return errors.square() * hardness
