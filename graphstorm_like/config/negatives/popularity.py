"""`task.negatives.type: popularity`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import NonNegativeFloat, PositiveInt
from graphstorm_like.config.negatives.base import NegativesConfig


class PopularityNegativesConfig(NegativesConfig):
    """Nodes that many training edges lead to are drawn more often: in proportion to degree ** exponent (Mikolov et al.
    2013). Nodes without a training edge are never drawn. Pairs well with popularity_correction."""

    type: Literal["popularity"]
    count: PositiveInt = 256
    """This many targets are drawn, shared by the batch."""
    exponent: NonNegativeFloat = 0.75
    """1: as often as edges lead to them; 0: all that have an edge alike."""
