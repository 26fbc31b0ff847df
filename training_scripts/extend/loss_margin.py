"""A loss of your own for links: the margin by which a true link must score above its negatives (Bordes et al. 2013).

loss_i = mean over negatives j of max(0, margin - s_ii + s_ij)

    plugins: [./loss_margin.py]
    task: { type: link_prediction, loss: { type: my_margin, margin: 0.5 }, ... }
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from graphstorm_like.config.base import PositiveFloat
from graphstorm_like.config.link_losses import LinkLossConfig
from graphstorm_like.models.losses import LINK_LOSSES, LinkLoss, negatives, true_pairs


class MarginConfig(LinkLossConfig):
    """Margin ranking (Bordes et al. 2013)."""

    type: Literal["my_margin"]
    margin: PositiveFloat = 0.5


@LINK_LOSSES.register(MarginConfig)
class MarginLoss(LinkLoss):
    """See module."""

    def __init__(self, config: MarginConfig) -> None:
        super().__init__()
        self.margin = config.margin

    def of_rows(self, scores: Tensor, mask: Tensor, in_batch: bool, log_q: Tensor | None) -> Tensor:
        """scores [B, C], of true pairs and others -> [B] each row's. See LinkLoss."""
        logits = scores.float() if log_q is None else scores.float() - log_q
        negative = negatives(mask, in_batch)
        missing = (self.margin - true_pairs(logits, in_batch)[:, None] + logits).clamp(min=0.0) * negative
        return missing.sum(dim=1) / negative.sum(dim=1).clamp(min=1)
