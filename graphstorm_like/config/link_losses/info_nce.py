"""`task.loss.type: info_nce`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import PositiveFloat
from graphstorm_like.config.link_losses.base import LinkLossConfig


class InfoNceConfig(LinkLossConfig):
    """Softmax of the positive among all its candidates (van den Oord et al. 2018)."""

    type: Literal["info_nce"]
    temperature: PositiveFloat = 0.1
    """Scores are divided by it: low ones punish the hardest negatives most."""
