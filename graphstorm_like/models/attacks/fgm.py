"""The fast gradient method (Goodfellow et al. 2015; l2: Miyato et al. 2017), g the gradient of the loss in a row:

l2: delta = epsilon g / |g|;   linf: delta = epsilon sign(g)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from graphstorm_like.config.attacks import FgmConfig
from graphstorm_like.models.attacks.base import ATTACKS, Attack, Gradients, Rows, steepest


@ATTACKS.register(FgmConfig)
class Fgm(Attack):
    """See module."""

    config: FgmConfig

    def find(self, like: Sequence[Tensor], gradients: Gradients, draw: torch.Generator) -> Rows:
        """See Attack."""
        config = self.config
        return [config.epsilon * steepest(config.norm, gradient) for gradient in gradients(self._none(like))]
