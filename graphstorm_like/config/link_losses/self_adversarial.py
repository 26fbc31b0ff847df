"""`task.loss.type: self_adversarial`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import PositiveFloat
from graphstorm_like.config.link_losses.base import LinkLossConfig


class SelfAdversarialConfig(LinkLossConfig):
    """Binary cross-entropy in which an edge's negatives weigh by how likely the model itself holds them (RotatE, Sun et
    al. 2019)."""

    type: Literal["self_adversarial"]
    sharpness: PositiveFloat = 1.0
    """The paper's alpha: high for the hardest negatives alone, near 0 for all alike, as with cross_entropy."""
