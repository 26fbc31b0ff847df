"""`train.lm.tune.type: top`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.tuning.base import TuneConfig


class TopTuning(TuneConfig):
    """Only the topmost layers learn: less memory and time, for nothing is propagated below them."""

    type: Literal["top"]
    layers: PositiveInt = 2
    """How many of the topmost layers learn."""
