"""`task.weighting.type: excess_risk`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import PositiveFloat
from graphstorm_like.config.task_weightings.base import AdaptiveWeightingConfig


class ExcessRiskConfig(AdaptiveWeightingConfig):
    """Tasks weigh by how far they are from their own best loss, not by the loss (ExcessMTL: He et al., ICML 2024), so
    that a task with noisy labels, whose loss stays high, does not win. A second-order estimate from gradients in the
    shared weights."""

    type: Literal["excess_risk"]
    step_size: PositiveFloat = 3e-3
    """Weights grow by exp(step_size * excess / first excess) in a step, before they are normalised."""
