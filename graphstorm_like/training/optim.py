"""Optimizers and the learning rate, which is a function of the step alone: nothing of it needs saving."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from graphstorm_like.config.schedule import ScheduleConfig
from graphstorm_like.config.train import TrainConfig
from graphstorm_like.training.row_adam import RowAdam


def schedule_factor(config: ScheduleConfig, step: int, total: int) -> float:
    """Factor on the learning rate of optimizer step `step` (0-based) of `total`."""
    warmup = int(config.warmup_fraction * total)
    if step < warmup:
        return (step + 1) / warmup
    if config.type == "constant":
        return 1.0
    at = (step - warmup) / max(1, total - warmup)
    decay = 1.0 - at if config.type == "linear" else 0.5 * (1.0 + math.cos(math.pi * at))
    return config.final_fraction + (1.0 - config.final_fraction) * decay


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that share a learning rate and a weight decay."""

    parameters: Sequence[Tensor]
    lr: float
    weight_decay: float


def split_decay(parameters: Iterable[Tensor], lr: float, weight_decay: float) -> list[ParameterGroup]:
    """Two groups: matrices, with weight decay; biases and norms, without. Frozen ones are left out."""
    learning = [p for p in parameters if p.requires_grad]
    decayed = [p for p in learning if p.dim() > 1]
    plain = [p for p in learning if p.dim() <= 1]
    groups = [ParameterGroup(decayed, lr, weight_decay), ParameterGroup(plain, lr, 0.0)]
    return [group for group in groups if group.parameters]


def sparse_weights(modules: nn.Module) -> list[Tensor]:
    """Weights of learnable node embeddings, whose gradients are sparse."""
    return [m.weight for m in modules.modules() if isinstance(m, nn.Embedding) and m.sparse]


def module_groups(modules: nn.Module, config: TrainConfig) -> list[ParameterGroup]:
    """Groups of all dense parameters of graph network and head."""
    sparse = {id(p) for p in sparse_weights(modules)}
    return split_decay((p for p in modules.parameters() if id(p) not in sparse), config.lr, config.weight_decay)


class Optimizers:
    """AdamW for dense parameters, RowAdam for learnable node embeddings, under one schedule."""

    def __init__(self, groups: Sequence[ParameterGroup], sparse: Sequence[Tensor], config: TrainConfig) -> None:
        self.config = config
        self.dense_parameters: list[Tensor] = [p for g in groups for p in g.parameters]
        self.sparse_parameters: list[Tensor] = list(sparse)
        self._all: list[tuple[torch.optim.Optimizer, list[float]]] = []
        if groups:
            # Fused: one pass over weights, gradients and moments instead of ten; felt with a language model's millions.
            dense = torch.optim.AdamW(
                [{"params": list(g.parameters), "lr": g.lr, "weight_decay": g.weight_decay} for g in groups], fused=True
            )
            self._all.append((dense, [g.lr for g in groups]))
        if sparse:
            self._all.append((RowAdam(sparse, lr=config.embedding_lr), [config.embedding_lr]))

    def set_step(self, step: int, total: int) -> float:
        """Set every learning rate for a step; returns that of graph network and head."""
        factor = schedule_factor(self.config.schedule, step, total)
        for optimizer, bases in self._all:
            for group, base in zip(optimizer.param_groups, bases, strict=True):
                group["lr"] = base * factor
        return self.config.lr * factor

    def scale_gradients(self, factor: float) -> None:
        """Multiply all gradients: the sum over rows becomes their mean."""
        for parameter in (*self.dense_parameters, *self.sparse_parameters):
            if parameter.grad is not None:
                parameter.grad.mul_(factor)

    def clip(self) -> float:
        """Norm of the dense gradients; clipped to `clip_norm` when that is set. Before the step, where it counts."""
        limit = math.inf if self.config.clip_norm is None else self.config.clip_norm
        return float(torch.nn.utils.clip_grad_norm_(self.dense_parameters, limit))

    def step(self) -> None:
        """One step of every optimizer, then no gradients."""
        for optimizer, _ in self._all:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, object]:
        """For the checkpoint."""
        return {str(i): optimizer.state_dict() for i, (optimizer, _) in enumerate(self._all)}

    def load_state_dict(self, state: dict[str, dict[str, object]]) -> None:
        """From the checkpoint."""
        for i, (optimizer, _) in enumerate(self._all):
            optimizer.load_state_dict(state[str(i)])
