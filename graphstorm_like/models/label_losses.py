"""Losses of labels. graphstorm_like/config/label_losses.py says when to use which."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from graphstorm_like.config.label_losses import (
    AbsoluteErrorConfig,
    BceConfig,
    ClassCrossEntropyConfig,
    FocalConfig,
    HuberConfig,
    MseConfig,
    QuantileLossConfig,
    ShrinkageConfig,
)
from graphstorm_like.registry import Registry

LABEL_LOSSES: Registry[type[LabelLoss]] = Registry("label loss")


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


@LABEL_LOSSES.register(BceConfig)
class Bce(LabelLoss):
    """Binary cross-entropy of each class, s = sigmoid(outputs):

    loss_i = mean_c -(w_c y_c log s_c + (1 - y_c) log(1 - s_c))
    """

    def forward(self, outputs: Tensor, labels: Tensor, weights: Tensor | None = None) -> tuple[Tensor, float]:
        """See LabelLoss."""
        losses = F.binary_cross_entropy_with_logits(outputs, labels, pos_weight=weights, reduction="none")
        return losses.mean(dim=1).sum(), float(len(labels))


@LABEL_LOSSES.register(ClassCrossEntropyConfig)
class ClassCrossEntropy(LabelLoss):
    """Softmax cross-entropy: loss_i = -w_y log p_i[y_i]; with smoothing e the label is (1 - e) y + e / C.

    Szegedy et al., CVPR 2016 (label smoothing). Weights are those of the row's class: the total is sum_i w_{y_i}.
    """

    def forward(self, outputs: Tensor, labels: Tensor, weights: Tensor | None = None) -> tuple[Tensor, float]:
        """See LabelLoss."""
        smoothing = self.config.label_smoothing
        loss = F.cross_entropy(outputs, labels, weights, reduction="sum", label_smoothing=smoothing)
        return loss, float(len(labels)) if weights is None else float(weights[labels].sum())


@LABEL_LOSSES.register(FocalConfig)
class Focal(LabelLoss):
    """Focal loss (Lin et al., ICCV 2017).

    One class a row:      loss_i = -w_y (1 - p_y)^gamma log p_y, p = softmax(outputs)
    Several classes:      loss_i = mean_c -w'_c (1 - q_c)^gamma log q_c, q_c = sigmoid(o_c) where the row has the class,
                          else 1 - sigmoid(o_c); w'_c = w_c where it has the class, else 1
    """

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


@LABEL_LOSSES.register(HuberConfig)
class Huber(NumberLoss):
    """Huber loss (Huber 1964): e^2 / 2 where |e| <= delta, else delta (|e| - delta / 2)."""

    def of_errors(self, errors: Tensor) -> Tensor:
        """See NumberLoss."""
        return F.huber_loss(errors, torch.zeros_like(errors), reduction="none", delta=self.config.delta)


@LABEL_LOSSES.register(AbsoluteErrorConfig)
class AbsoluteError(NumberLoss):
    """Absolute error: |e|."""

    def of_errors(self, errors: Tensor) -> Tensor:
        """See NumberLoss."""
        return errors.abs()


@LABEL_LOSSES.register(MseConfig)
class Mse(NumberLoss):
    """Squared error: e^2."""

    def of_errors(self, errors: Tensor) -> Tensor:
        """See NumberLoss."""
        return errors.square()


@LABEL_LOSSES.register(QuantileLossConfig)
class QuantileLoss(NumberLoss):
    """Pinball loss (Koenker and Bassett 1978): q u where u = label - prediction is positive, else (q - 1) u."""

    def of_errors(self, errors: Tensor) -> Tensor:
        """See NumberLoss."""
        quantile = self.config.quantile
        return torch.maximum(-quantile * errors, (1.0 - quantile) * errors)


@LABEL_LOSSES.register(ShrinkageConfig)
class Shrinkage(NumberLoss):
    """Shrinkage loss (Lu et al., ECCV 2018): e^2 / (1 + exp(a (c - |e|)))."""

    def of_errors(self, errors: Tensor) -> Tensor:
        """See NumberLoss."""
        hardness: Tensor = (self.config.a * (errors.abs() - self.config.c)).sigmoid()
        return errors.square() * hardness
