"""`task.weighting.type: fixed`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.task_weightings.base import TaskWeightingConfig


class FixedWeightingConfig(TaskWeightingConfig):
    """Weights are `task.weights`, in every step."""

    type: Literal["fixed"]
