"""`task.weighting.type: uncertainty`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.task_weightings.base import TaskWeightingConfig


class UncertaintyWeightingConfig(TaskWeightingConfig):
    """Weights exp(-s) with learnt s, which is added to the loss (Kendall, Gal and Cipolla, CVPR 2018): tasks with a
    high loss weigh less."""

    type: Literal["uncertainty"]
