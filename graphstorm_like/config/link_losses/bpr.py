"""`task.loss.type: bpr`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import PositiveFloat
from graphstorm_like.config.link_losses.base import LinkLossConfig


class BprConfig(LinkLossConfig):
    """Bayesian personalised ranking (Rendle et al. 2009): the true target above each negative, by a sigmoid of the
    difference of both scores, the mean over an edge's negatives."""

    type: Literal["bpr"]
    temperature: PositiveFloat = 0.1
    """Differences are divided by it; 1 is the paper's, for scores that are no cosines."""
