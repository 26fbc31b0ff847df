"""Losses of tasks on labels: the head's outputs and the labels of B rows -> the sum over rows, and their weight."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn

from graphstorm_like.registry import Registry

LABEL_LOSSES: Registry[type[LabelLoss]] = Registry("label loss", "graphstorm_like.models.label_losses")


class LabelLoss(nn.Module, ABC):
    """outputs [B, W]. labels: classes [B] int64; several of them [B, W], 0 or 1; or standardised numbers [B].
    weights [W] of classes: of a row's class, or of the rows that have one of several; None for numbers.

    Returns (sum over rows, their total weight), so that the trainer can divide by the global weight.
    """

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config

    @abstractmethod
    def forward(self, outputs: Tensor, labels: Tensor, weights: Tensor | None = None) -> tuple[Tensor, float]:
        """See class."""


class NumberLoss(LabelLoss):
    """A function of the errors alone."""

    @abstractmethod
    def of_errors(self, errors: Tensor) -> Tensor:
        """Predictions minus labels [B], in deviations of the training labels -> losses [B]."""

    def forward(self, outputs: Tensor, labels: Tensor, weights: Tensor | None = None) -> tuple[Tensor, float]:
        """See LabelLoss."""
        return self.of_errors(outputs.squeeze(1) - labels).sum(), float(len(labels))
