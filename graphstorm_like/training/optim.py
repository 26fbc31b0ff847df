"""Optimizers and the learning rate, which is a function of the step alone: nothing of it needs saving."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from graphstorm_like.config.train import ScheduleConfig, TrainConfig
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


class Optimizers:
    """AdamW for dense parameters, RowAdam for learnable node embeddings, under one schedule."""

    def __init__(self, modules: Iterable[nn.Module], config: TrainConfig) -> None:
        self.config = config
        modules = list(modules)
        sparse = [m.weight for root in modules for m in root.modules() if isinstance(m, nn.Embedding) and m.sparse]
        held = {id(p) for p in sparse}
        self.dense_parameters: list[Tensor] = [
            p for root in modules for p in root.parameters() if id(p) not in held and p.requires_grad
        ]
        decayed = [p for p in self.dense_parameters if p.dim() > 1]
        plain = [p for p in self.dense_parameters if p.dim() <= 1]
        groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        self._all: list[tuple[torch.optim.Optimizer, float]] = [(torch.optim.AdamW(groups, lr=config.lr), config.lr)]
        self.sparse_parameters: list[Tensor] = list(sparse)
        if sparse:
            self._all.append((RowAdam(sparse, lr=config.embedding_lr), config.embedding_lr))

    def set_step(self, step: int, total: int) -> float:
        """Set every learning rate for a step; returns the dense one."""
        factor = schedule_factor(self.config.schedule, step, total)
        for optimizer, base in self._all:
            for group in optimizer.param_groups:
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
