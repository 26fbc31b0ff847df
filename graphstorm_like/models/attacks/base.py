"""An attack's operator: gradients of a loss -> changes of rows that let it grow, each row within its largest size.

A row is what lies along the last dimension: the input of a node, or the embedding of a token.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from graphstorm_like.config.attacks import AttackConfig
from graphstorm_like.registry import Registry

Rows = list[Tensor]
"""Changes, or gradients in them, [.., F] each."""
Gradients = Callable[[Rows], Rows]
"""Changes -> the gradients of the loss in them."""

ATTACKS: Registry[type[Attack]] = Registry("attack", "graphstorm_like.models.attacks")
TINY = 1e-12


class Attack(ABC):
    """config: of the attack's own class."""

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def find(self, like: Sequence[Tensor], gradients: Gradients, draw: torch.Generator) -> Rows:
        """Changes [.., F] of the shapes of `like`. draw: what is random, on the CPU."""

    def _none(self, like: Sequence[Tensor]) -> Rows:
        return [torch.zeros_like(rows, dtype=torch.float32) for rows in like]


def attack_of(config: AttackConfig) -> Attack:
    """The operator of a configuration."""
    return ATTACKS.of(config)(config)


def steepest(norm: str, gradient: Tensor) -> Tensor:
    """The rows of size 1 along which the loss grows fastest; 0 where the gradient is 0."""
    if norm == "linf":
        signs: Tensor = gradient.sign()
        return signs
    # Scaled first: the squares of small gradients would be 0.
    scaled = gradient / gradient.abs().amax(dim=-1, keepdim=True).clamp(min=TINY)
    unit: Tensor = scaled / scaled.norm(dim=-1, keepdim=True).clamp(min=TINY)
    return unit


def within(norm: str, change: Tensor, epsilon: float) -> Tensor:
    """The nearest rows that are not larger than epsilon."""
    if norm == "linf":
        return change.clamp(-epsilon, epsilon)
    shrink = (epsilon / change.norm(dim=-1, keepdim=True).clamp(min=TINY)).clamp(max=1.0)
    within_size: Tensor = change * shrink
    return within_size


def random_rows(norm: str, like: Tensor, epsilon: float, draw: torch.Generator) -> Tensor:
    """Rows drawn evenly from all that are not larger than epsilon."""
    shape = like.shape
    if norm == "linf":
        drawn = (2.0 * torch.rand(shape, generator=draw) - 1.0) * epsilon
        return drawn.to(like.device)
    direction = torch.randn(shape, generator=draw)
    direction = direction / direction.norm(dim=-1, keepdim=True).clamp(min=TINY)
    radius = epsilon * torch.rand((*shape[:-1], 1), generator=draw) ** (1.0 / max(shape[-1], 1))
    of_size: Tensor = direction * radius
    return of_size.to(like.device)
