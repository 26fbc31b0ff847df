"""Optimizers and learning rates. The rates depend on the step alone, so they need no saving."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from graphstorm_like.config.schedule import ScheduleConfig
from graphstorm_like.config.train import TrainConfig
from graphstorm_like.errors import TrainingError
from graphstorm_like.inputs.node_embeddings import NodeEmbeddings
from graphstorm_like.ranks.group import Group
from graphstorm_like.training.optimizers import Groups, build_optimizer


def schedule_factor(config: ScheduleConfig, step: int, total: int) -> float:
    """Factor on the learning rate of optimizer step `step` (0-based) of `total`."""
    warmup = int(config.warmup_fraction * total)
    if step < warmup:
        return (step + 1) / warmup
    if config.type == "constant":
        return 1.0
    progress = (step - warmup) / max(1, total - warmup)
    decay = 1.0 - progress if config.type == "linear" else 0.5 * (1.0 + math.cos(math.pi * progress))
    return config.final_fraction + (1.0 - config.final_fraction) * decay


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that share a learning rate and a weight decay. schedule: None means the training's."""

    parameters: Sequence[Tensor]
    lr: float
    weight_decay: float
    schedule: ScheduleConfig | None = None


def split_decay(
    parameters: Iterable[Tensor], lr: float, weight_decay: float, schedule: ScheduleConfig | None = None
) -> list[ParameterGroup]:
    """Two groups: matrices, with weight decay; biases and norms, without. Frozen ones are left out."""
    learning = [p for p in parameters if p.requires_grad]
    decayed = [p for p in learning if p.dim() > 1]
    plain = [p for p in learning if p.dim() <= 1]
    groups = [ParameterGroup(decayed, lr, weight_decay, schedule), ParameterGroup(plain, lr, 0.0, schedule)]
    return [group for group in groups if group.parameters]


def module_groups(modules: nn.Module, config: TrainConfig) -> list[ParameterGroup]:
    """Groups of all parameters of graph network and head. Those of modules with an `lr_factor` of their own have so
    many times the learning rate."""
    by_factor: dict[float, list[Tensor]] = {1.0: []}
    factor_of: dict[Tensor, float] = {}
    for module in modules.modules():
        factor_of |= dict.fromkeys(module.parameters(recurse=False), float(getattr(module, "lr_factor", 1.0)))
    for parameter in modules.parameters():
        by_factor.setdefault(factor_of[parameter], []).append(parameter)
    groups = []
    for factor, parameters in by_factor.items():
        groups += split_decay(parameters, factor * config.lr, config.weight_decay)
    return groups


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))


class Optimizers:
    """The configured optimizer for the model's parameters, Adam on rows of node embeddings, under one schedule."""

    def __init__(
        self, groups: Sequence[ParameterGroup], embeddings: Sequence[NodeEmbeddings], config: TrainConfig
    ) -> None:
        self.config, self.embeddings = config, embeddings
        self.parameters: list[Tensor] = []
        for group in groups:
            self.parameters += group.parameters
        self._embedding_lr = config.embedding_lr
        self._rates = [(g.lr, config.schedule if g.schedule is None else g.schedule) for g in groups]
        of_groups: Groups = [{"params": list(g.parameters), "lr": g.lr, "weight_decay": g.weight_decay} for g in groups]
        self._dense = build_optimizer(config.optimizer, of_groups)

    def set_step(self, step: int, total: int) -> float:
        """Set every learning rate for a step; returns that of graph network and head."""
        factor = schedule_factor(self.config.schedule, step, total)
        for group, (base, schedule) in zip(self._dense.param_groups, self._rates, strict=True):
            group["lr"] = base * schedule_factor(schedule, step, total)
        self._embedding_lr = self.config.embedding_lr * factor
        return self.config.lr * factor

    def step_embeddings(self, factor: float) -> None:
        """One step of the node embeddings, whose gradients are multiplied by `factor` first. Before `sum_gradients`,
        at whose end all ranks have done this."""
        for table in self.embeddings:
            table.step(self._embedding_lr, factor)

    def have_gradients(self) -> npt.NDArray[np.float64]:
        """[parameters]: 1 where there is a gradient."""
        return np.array([p.grad is not None for p in self.parameters], dtype=np.float64)

    def sum_gradients(self, group: Group, had: npt.NDArray[np.float64]) -> None:
        """Sum gradients over ranks. had [parameters]: the number of ranks that have one; where no rank has
        one it stays None, as in a single process."""
        if group.size == 1:
            return
        gradients = []
        for parameter, ranks in zip(self.parameters, had, strict=True):
            if ranks:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                gradients.append(parameter.grad)
        group.sum_(gradients, "gradients")

    def scale_gradients(self, factor: float) -> None:
        """Multiply all gradients: the sum over rows becomes their mean."""
        for parameter in self.parameters:
            if parameter.grad is not None:
                parameter.grad.mul_(factor)

    def clip(self) -> float:
        """Norm of the gradients, which are clipped to `clip_norm` when that is set. To be called before `step`."""
        limit = math.inf if self.config.clip_norm is None else self.config.clip_norm
        return float(torch.nn.utils.clip_grad_norm_(self.parameters, limit))

    def step(self) -> None:
        """One step of the model's parameters; then their gradients are removed."""
        self._dense.step()
        self._dense.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, object]:
        """For the checkpoint; node embeddings have files of their own."""
        return self._dense.state_dict()

    def load_state_dict(self, state: dict[str, Any], where: str = "the resume point") -> None:
        """From the checkpoint. TrainingError when its parameters were not grouped as these are."""
        here = [len(group["params"]) for group in self._dense.param_groups]
        there = [len(group["params"]) for group in state["param_groups"]]
        if here != there:
            raise TrainingError(
                f"{where}: the optimizer's groups must have {_listed(here)} parameters (got {_listed(there)}): the "
                f"training was begun with another version or configuration. Start again with --fresh"
            )
        self._dense.load_state_dict(state)
