"""`task.negatives.type: mined_model`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.negatives.mined import MinedNegativesConfig


class MinedModelConfig(MinedNegativesConfig):
    """By the model that is in training, with the vectors and the head that it has at each refresh (Xiong et al., ANCE,
    ICLR 2021)."""

    type: Literal["mined_model"]
    refresh_steps: PositiveInt = 500
    """Lists are made anew after so many optimizer steps, from vectors of all nodes; sampler processes then start
    anew."""

    @property
    def asks_model(self) -> bool:
        """See NegativesConfig."""
        return True
