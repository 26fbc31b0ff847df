"""Weights of several tasks. graphstorm_like/config/task_weightings.py says when to use which."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from graphstorm_like.config.task_weightings import (
    AdaptiveWeightingConfig,
    ExcessRiskConfig,
    FixedWeightingConfig,
    GradNormConfig,
    GroupDroConfig,
    TaskWeightingConfig,
    UncertaintyWeightingConfig,
)
from graphstorm_like.errors import ConfigError
from graphstorm_like.ranks.group import SINGLE_PROCESS, Group
from graphstorm_like.registry import Registry

WEIGHTINGS: Registry[type[TaskWeighting]] = Registry("task weighting")


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


@WEIGHTINGS.register(ExcessRiskConfig)
class ExcessRisk(AdaptiveWeighting):
    """ExcessMTL (He et al., ICML 2024): weights by estimated excess risk, relative to that of the warm-up.

    S_t <- S_t + g_t^2;  e_t = sum_p g_tp^2 / sqrt(S_tp + 1e-7);  w_t <- w_t exp(eta e_t / e_t0), scaled to the sum T

    e_t estimates L_t - min L_t by a second-order expansion with a diagonal of Adagrad's kind. e_t0 is the mean of e_t
    over the warm-up, at least its first value. g_t: gradients of the task's mean loss in all shared weights, summed
    over ranks before they are squared (the mean of the ranks' own e_t would be too large by the noise of their
    gradients).
    """

    reads_gradients = True

    def __init__(self, config: ExcessRiskConfig, priors: Tensor, shared: int) -> None:
        super().__init__(config, priors, shared)
        self.register_buffer("squares", torch.zeros(len(priors), shared))
        self.register_buffer("first", torch.zeros(len(priors)))
        self.register_buffer("excess", torch.zeros(len(priors)))
        self.register_buffer("warmed", torch.zeros((), dtype=torch.int64))

    def change(self, step: StepLosses, shared: Sequence[Tensor], warm: bool) -> Tensor | None:
        """See AdaptiveWeighting."""
        squares, first, excess = (self.get_buffer(name) for name in ("squares", "first", "excess"))
        warmed = self.get_buffer("warmed")
        squared = task_gradients(step, shared).square_()
        squares += squared
        excess.copy_((squared / (squares + 1e-7).sqrt()).sum(dim=1))
        if not warm or not int(warmed):
            first += (excess - first) / (int(warmed) + 1)  # the mean so far
            warmed += 1
        if not warm:
            return None
        relative = torch.where(first > 0, excess / first.clamp(min=1e-12), 0.0)  # a task without gradients stays
        return self.grown(self.settings.step_size * relative)


@WEIGHTINGS.register(FixedWeightingConfig)
class FixedWeighting(TaskWeighting):
    """Fixed weights: loss = sum_t w_t L_t."""

    def combine(self, step: StepLosses, shared: Sequence[Tensor]) -> Tensor:
        """See TaskWeighting."""
        return self.weighted(step)


@WEIGHTINGS.register(GradNormConfig)
class GradNorm(AdaptiveWeighting):
    """GradNorm (Chen et al., ICML 2018), with the norms over all shared weights.

    G_t = w_t |g_t|; target_t = mean(G) r_t^alpha with r_t = (L_t / L_t at first) / mean of these; one step on sum_t
    |G_t - target_t| in w, targets held: w_t <- w_t - eta |g_t| / mean(|g|) sign(G_t - target_t), scaled to the sum T.
    """

    reads_gradients = True

    def __init__(self, config: GradNormConfig, priors: Tensor, shared: int) -> None:
        super().__init__(config, priors, shared)
        self.alpha = config.alpha
        self.register_buffer("first", torch.zeros(len(priors)))

    def change(self, step: StepLosses, shared: Sequence[Tensor], warm: bool) -> Tensor | None:
        """See AdaptiveWeighting."""
        first = self.get_buffer("first")
        if not bool(first.any()):
            first.copy_(step.means)
        if not warm:
            return None
        norms = task_gradients(step, shared).norm(dim=1)
        ratios = step.means / first.clamp(min=1e-12)
        rates = ratios / ratios.mean().clamp(min=1e-12)
        sizes = self.weights * norms
        target = sizes.mean() * rates**self.alpha
        change = self.settings.step_size * norms / norms.mean().clamp(min=1e-12) * torch.sign(sizes - target)
        changed: Tensor = (self.weights - change).clamp(min=1e-6)
        return changed


@WEIGHTINGS.register(GroupDroConfig)
class GroupDro(AdaptiveWeighting):
    """GroupDRO (Sagawa et al., ICLR 2020): w_t <- w_t exp(eta L_t), scaled to the sum T."""

    def change(self, step: StepLosses, shared: Sequence[Tensor], warm: bool) -> Tensor | None:
        """See AdaptiveWeighting."""
        return self.grown(self.settings.step_size * step.means) if warm else None


@WEIGHTINGS.register(UncertaintyWeightingConfig)
class UncertaintyWeighting(TaskWeighting):
    """Uncertainty weighting (Kendall, Gal and Cipolla, CVPR 2018), s_t learnt from 0:

    loss = sum_t p_t (exp(-s_t) L_t + s_t)

    The best s_t of a constant loss is log L_t, so that each task's part tends to the same size.
    """

    def __init__(self, config: UncertaintyWeightingConfig, priors: Tensor, shared: int) -> None:
        super().__init__(config, priors, shared)
        self.register_buffer("priors", priors.clone())
        self.log_variance = nn.Parameter(torch.zeros(len(priors)))

    def combine(self, step: StepLosses, shared: Sequence[Tensor]) -> Tensor:
        """See TaskWeighting. Each rank adds its part of s."""
        weights = self.get_buffer("priors") * torch.exp(-self.log_variance)
        self.weights.copy_(weights.detach())
        own = torch.stack(list(step.own))
        penalty = self.get_buffer("priors") * self.log_variance / step.group.size
        return (weights * own + penalty).sum()
