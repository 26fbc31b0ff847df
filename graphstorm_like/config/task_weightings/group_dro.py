"""`task.weighting.type: group_dro`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import PositiveFloat
from graphstorm_like.config.task_weightings.base import AdaptiveWeightingConfig


class GroupDroConfig(AdaptiveWeightingConfig):
    """The tasks with the highest losses weigh more and more (Sagawa et al., ICLR 2020). Losses must be on one scale; a
    task with noisy labels wins."""

    type: Literal["group_dro"]
    step_size: PositiveFloat = 3e-3
    """Weights grow by exp(step_size * loss) in a step, before they are normalised."""
