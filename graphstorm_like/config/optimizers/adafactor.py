"""`train.optimizer.type: adafactor`"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from graphstorm_like.config.base import PositiveFloat
from graphstorm_like.config.optimizers.base import OptimizerConfig


class AdafactorConfig(OptimizerConfig):
    """Adam without a mean of gradients, its squares by row and column (Shazeer and Stern, ICML 2018): a fraction of
    AdamW's memory, for large language models."""

    type: Literal["adafactor"]
    beta2_decay: Annotated[float, Field(lt=0.0)] = -0.8
    """The mean of squares changes more slowly with every step: by step^beta2_decay."""
    clip: PositiveFloat = 1.0
    """A tensor's step is scaled down to this root mean square, in units of the learning rate."""
