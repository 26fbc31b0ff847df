"""`task.loss.type: margin`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import PositiveFloat
from graphstorm_like.config.link_losses.base import LinkLossConfig


class MarginConfig(LinkLossConfig):
    """Margin ranking (TransE, Bordes et al. 2013): the true target above each negative by `margin`; what is farther
    below costs nothing. The mean over an edge's negatives."""

    type: Literal["margin"]
    margin: PositiveFloat = 0.5
    """In units of the scores: cosines differ by 2 at most."""
