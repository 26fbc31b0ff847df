"""Absolute error: |e|."""

from __future__ import annotations

from torch import Tensor

from graphstorm_like.config.label_losses import AbsoluteErrorConfig
from graphstorm_like.models.label_losses.base import LABEL_LOSSES, NumberLoss


@LABEL_LOSSES.register(AbsoluteErrorConfig)
class AbsoluteError(NumberLoss):
    """See module."""

    def of_errors(self, errors: Tensor) -> Tensor:
        """See NumberLoss."""
        return errors.abs()
