"""`train.optimizer.type: sgd`"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from graphstorm_like.config.base import KeyedError
from graphstorm_like.config.optimizers.base import OptimizerConfig


class SgdConfig(OptimizerConfig):
    """Stochastic gradient descent; it wants learning rates some 10 to 100 times those of AdamW."""

    type: Literal["sgd"]
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.9
    """This much of the last step is taken again; 0: none."""
    nesterov: bool = False
    """Nesterov's momentum: gradients where the momentum leads."""

    @model_validator(mode="after")
    def _has_momentum(self) -> SgdConfig:
        if self.nesterov and self.momentum == 0.0:
            raise KeyedError("nesterov", "must be false with momentum: 0")
        return self
