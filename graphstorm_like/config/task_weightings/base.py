"""What every task weighting has in its configuration, and the short form: `uncertainty` for `{type: uncertainty}`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from graphstorm_like.config.base import PositiveFloat, PositiveInt
from graphstorm_like.config.choice import Choice
from graphstorm_like.config.short_form import ShortForm

Floor = Annotated[float, Field(ge=0.0, lt=1.0)]


class TaskWeightingConfig(Choice, tag="type"):
    """How much each task weighs in the loss: the sum of the tasks' mean losses, each times its weight."""

    type: str


class AdaptiveWeightingConfig(TaskWeightingConfig):
    """Weights that follow training: positive, with the number of tasks as their sum. They begin at `task.weights`."""

    step_size: PositiveFloat
    """How fast weights change."""
    min_weight: Floor = 0.01
    """No weight falls below this part of an equal one."""
    warmup_epochs: Annotated[int, Field(ge=0)] = 1
    """Epochs in which the weights stay."""
    update_every: PositiveInt = 1
    """Steps between two changes of the weights."""


class _Short(ShortForm):
    """A weighting of tasks."""

    family = TaskWeightingConfig


ChosenWeighting = Annotated[TaskWeightingConfig, _Short()]
