"""How several tasks' losses become one, and the state that this has: all of it in buffers, for the resume point.

Ranks see the same means and the same summed gradients, and so have the same weights.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from graphstorm_like.config.task_weightings import AdaptiveWeightingConfig, TaskWeightingConfig
from graphstorm_like.errors import ConfigError
from graphstorm_like.ranks.group import SINGLE_PROCESS, Group
from graphstorm_like.registry import Registry

WEIGHTINGS: Registry[type[TaskWeighting]] = Registry("task weighting", "graphstorm_like.tasks.weightings")


@dataclass(frozen=True)
class StepLosses:
    """Of one step. own: by task, this rank's share of the task's mean loss, with its graph. means [T]: of all ranks."""

    own: Sequence[Tensor]
    means: Tensor
    epoch: int
    group: Group = SINGLE_PROCESS


class TaskWeighting(nn.Module, ABC):
    """weights [T]: the present ones. shared: number of the shared weights, for those that keep something of each."""

    weights: Tensor
    reads_gradients = False
    """Whether it looks at each task's gradients in the shared weights."""

    def __init__(self, config: TaskWeightingConfig, priors: Tensor, shared: int) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("weights", priors.clone())

    @abstractmethod
    def combine(self, step: StepLosses, shared: Sequence[Tensor]) -> Tensor:
        """This rank's share of the loss of a step; changes the weights. shared: the weights of the shared model."""

    def weighted(self, step: StepLosses) -> Tensor:
        """The sum of the losses, each times its weight."""
        return (torch.stack(list(step.own)) * self.weights).sum()


class AdaptiveWeighting(TaskWeighting):
    """Weights that a rule changes every few steps, after the warm-up. They sum to T and keep to a floor."""

    def __init__(self, config: AdaptiveWeightingConfig, priors: Tensor, shared: int) -> None:
        super().__init__(config, priors * (len(priors) / priors.sum()), shared)
        self.settings = config
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @abstractmethod
    def change(self, step: StepLosses, shared: Sequence[Tensor], warm: bool) -> Tensor | None:
        """The new weights [T], not yet normalised; None: they stay. warm: the warm-up is over; before, only what is
        remembered may change."""

    def grown(self, rates: Tensor) -> Tensor:
        """Weights times exp(rates [T]), up to a factor: the largest rate counts as 0, so that nothing overflows."""
        return self.weights * torch.exp(rates - rates.max())

    def combine(self, step: StepLosses, shared: Sequence[Tensor]) -> Tensor:
        """See TaskWeighting."""
        if self.reads_gradients and not shared:
            raise ConfigError(
                f"task.weighting: must be one that reads no gradients, such as fixed or uncertainty (got "
                f"{self.config.type}): the tasks share no weights"
            )
        steps = self.get_buffer("steps")
        if int(steps) % self.settings.update_every == 0:
            with torch.no_grad():
                changed = self.change(step, shared, step.epoch >= self.settings.warmup_epochs)
                if changed is not None:
                    self.weights.copy_(with_floor(changed, self.settings.min_weight))
        steps += 1
        return self.weighted(step)


def with_floor(weights: Tensor, floor: float) -> Tensor:
    """Positive weights [T] scaled to the sum T, none of them below the floor, which is below 1."""
    count, low = len(weights), torch.zeros_like(weights, dtype=torch.bool)
    scaled = weights * (count / weights.sum())
    for _ in range(count):
        low = low | (scaled < floor)
        if not bool(low.any()):
            break
        rest = count - floor * int(low.sum())
        scaled = torch.where(low, torch.full_like(weights, floor), weights * (rest / weights[~low].sum()))
    return scaled


def task_gradients(step: StepLosses, shared: Sequence[Tensor]) -> Tensor:
    """[T, P]: gradient of each task's mean loss in the shared weights, one behind the other, summed over ranks."""
    rows = []
    with torch.enable_grad():
        for loss in step.own:
            found = torch.autograd.grad(loss, list(shared), retain_graph=True, allow_unused=True)
            pieces = zip(shared, found, strict=True)
            rows.append(torch.cat([(torch.zeros_like(p) if g is None else g).float().flatten() for p, g in pieces]))
    gradients = torch.stack(rows)
    step.group.sum_([gradients], "gradients of tasks")
    return gradients
