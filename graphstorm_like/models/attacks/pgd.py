"""Projected gradient descent (Madry et al. 2018), with u(g) = g / |g| for l2 and sign(g) for linf:

delta_0 random within epsilon, or 0;   delta <- P(delta + step u(g(delta))),  P: the nearest row within epsilon
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from graphstorm_like.config.attacks import PgdConfig
from graphstorm_like.models.attacks.base import ATTACKS, Attack, Gradients, Rows, random_rows, steepest, within


@ATTACKS.register(PgdConfig)
class Pgd(Attack):
    """See module."""

    config: PgdConfig

    def find(self, like: Sequence[Tensor], gradients: Gradients, draw: torch.Generator) -> Rows:
        """See Attack."""
        config = self.config
        changes = self._none(like)
        if config.random_start:
            changes = [random_rows(config.norm, rows, config.epsilon, draw) for rows in like]
        for _ in range(config.steps):
            pairs = zip(changes, gradients(changes), strict=True)
            moved = [change + config.step * steepest(config.norm, gradient) for change, gradient in pairs]
            changes = [within(config.norm, change, config.epsilon) for change in moved]
        return changes
