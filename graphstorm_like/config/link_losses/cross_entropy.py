"""`task.loss.type: cross_entropy`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.link_losses.base import LinkLossConfig


class CrossEntropyConfig(LinkLossConfig):
    """Binary cross-entropy on every pair, positives and negatives weighted alike in sum."""

    type: Literal["cross_entropy"]
