"""`task.loss.type: flat_nce`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import PositiveFloat
from graphstorm_like.config.link_losses.base import LinkLossConfig


class FlatNceConfig(LinkLossConfig):
    """FlatNCE (Chen et al. 2021): InfoNCE with a gradient that does not fade as a positive wins, so that bfloat16 and
    small temperatures do not lose it. The number that is logged is InfoNCE's."""

    type: Literal["flat_nce"]
    temperature: PositiveFloat = 0.1
    """Scores are divided by it: low ones punish the hardest negatives most."""
