"""`train.optimizer.type: adamw`"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from graphstorm_like.config.base import PositiveFloat
from graphstorm_like.config.optimizers.base import OptimizerConfig

Decay = Annotated[float, Field(ge=0.0, lt=1.0)]


class AdamWConfig(OptimizerConfig):
    """Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019)."""

    type: Literal["adamw"]
    beta1: Decay = 0.9
    """How slowly the mean of gradients changes."""
    beta2: Decay = 0.999
    """The same of their squares."""
    eps: PositiveFloat = 1e-8
    """Added to the root of the mean square."""
