"""`train.lm.tune.type: full`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.tuning.base import TuneConfig


class FullTuning(TuneConfig):
    """All weights of the language model learn."""

    type: Literal["full"]
