"""`train.optimizer`: how gradients become steps.

adamw       the default
adafactor   a fraction of AdamW's memory: large language models
sgd         no state; wants learning rates 10 to 100 times larger
torch       any other class of torch.optim
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from graphstorm_like.config.base import KeyedError, Name, PositiveFloat
from graphstorm_like.config.choice import Choice
from graphstorm_like.config.short_form import ShortForm


class OptimizerConfig(Choice, tag="type"):
    """How the gradients of dense weights become steps. Learning rates and weight decay are those of `train`."""

    type: str


class _Short(ShortForm):
    """An optimizer."""

    family = OptimizerConfig


ChosenOptimizer = Annotated[OptimizerConfig, _Short()]


class AdafactorConfig(OptimizerConfig):
    """Adam without a mean of gradients, its squares by row and column (Shazeer and Stern, ICML 2018): a fraction of
    AdamW's memory, for large language models."""

    type: Literal["adafactor"]
    beta2_decay: Annotated[float, Field(lt=0.0)] = -0.8
    """The mean of squares changes more slowly with every step: by step^beta2_decay."""
    clip: PositiveFloat = 1.0
    """A tensor's step is scaled down to this root mean square, in units of the learning rate."""


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


class TorchOptimizerConfig(OptimizerConfig):
    """Any class of torch.optim by its name, such as NAdam, RAdam, Adamax or RMSprop."""

    type: Literal["torch"]
    name: Name
    """Of the class. Those that evaluate the loss several times a step (LBFGS) or take sparse gradients cannot be
    used."""
    args: dict[Name, bool | int | float | str | list[float]] = {}
    """Its arguments besides the learning rate and the weight decay, which are those of `train`."""
