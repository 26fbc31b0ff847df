"""`task.weighting.type: grad_norm`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import NonNegativeFloat, PositiveFloat
from graphstorm_like.config.task_weightings.base import AdaptiveWeightingConfig


class GradNormConfig(AdaptiveWeightingConfig):
    """Weights that give tasks gradients of similar size in the shared weights, larger ones for tasks that learn more
    slowly (GradNorm: Chen et al., ICML 2018)."""

    type: Literal["grad_norm"]
    step_size: PositiveFloat = 0.025
    """Learning rate of the weights, on the distance of the norms from their targets, in units of their mean."""
    alpha: NonNegativeFloat = 1.5
    """How much more tasks get that learn slowly; 0: equal norms."""
