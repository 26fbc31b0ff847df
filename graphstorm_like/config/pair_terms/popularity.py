"""`task.pairs.type: popularity`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import PositiveFloat
from graphstorm_like.config.pair_terms.base import PairTermConfig


class PopularityTermConfig(PairTermConfig):
    """How many training edges lead to the target, whatever the source is; beside drawn negatives, for those of the
    batch are popular themselves."""

    type: Literal["popularity"]
    lr_factor: PositiveFloat = 10.0
    """Times `train.lr`, at which its weights learn: a few numbers from 0 on, which else hardly move in a few epochs."""
