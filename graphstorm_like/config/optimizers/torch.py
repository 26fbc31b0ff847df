"""`train.optimizer.type: torch`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import Name
from graphstorm_like.config.optimizers.base import OptimizerConfig


class TorchOptimizerConfig(OptimizerConfig):
    """Any class of torch.optim by its name, such as NAdam, RAdam, Adamax or RMSprop."""

    type: Literal["torch"]
    name: Name
    """Of the class. Those that evaluate the loss several times a step (LBFGS) or take sparse gradients cannot be
    used."""
    args: dict[Name, bool | int | float | str | list[float]] = {}
    """Its arguments besides the learning rate and the weight decay, which are those of `train`."""
