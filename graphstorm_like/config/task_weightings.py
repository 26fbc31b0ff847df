"""`task.weighting`: how much each of several tasks weighs in the loss.

fixed         weights that you give; the default
uncertainty   tasks with different noise
grad_norm     tasks that learn at different speeds
group_dro     the worst task matters most
excess_risk   tasks of which some have noisy labels
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from graphstorm_like.config.base import NonNegativeFloat, PositiveFloat, PositiveInt
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


class ExcessRiskConfig(AdaptiveWeightingConfig):
    """Tasks weigh by how far they are from their own best loss, not by the loss (ExcessMTL: He et al., ICML 2024), so
    that a task with noisy labels, whose loss stays high, does not win. A second-order estimate from gradients in the
    shared weights."""

    type: Literal["excess_risk"]
    step_size: PositiveFloat = 3e-3
    """Weights grow by exp(step_size * excess / first excess) in a step, before they are normalised."""


class FixedWeightingConfig(TaskWeightingConfig):
    """Weights are `task.weights`, in every step."""

    type: Literal["fixed"]


class GradNormConfig(AdaptiveWeightingConfig):
    """Weights that give tasks gradients of similar size in the shared weights, larger ones for tasks that learn more
    slowly (GradNorm: Chen et al., ICML 2018)."""

    type: Literal["grad_norm"]
    step_size: PositiveFloat = 0.025
    """Learning rate of the weights, on the distance of the norms from their targets, in units of their mean."""
    alpha: NonNegativeFloat = 1.5
    """How much more tasks get that learn slowly; 0: equal norms."""


class GroupDroConfig(AdaptiveWeightingConfig):
    """The tasks with the highest losses weigh more and more (Sagawa et al., ICLR 2020). Losses must be on one scale; a
    task with noisy labels wins."""

    type: Literal["group_dro"]
    step_size: PositiveFloat = 3e-3
    """Weights grow by exp(step_size * loss) in a step, before they are normalised."""


class UncertaintyWeightingConfig(TaskWeightingConfig):
    """Weights exp(-s) with learnt s, which is added to the loss (Kendall, Gal and Cipolla, CVPR 2018): tasks with a
    high loss weigh less."""

    type: Literal["uncertainty"]
