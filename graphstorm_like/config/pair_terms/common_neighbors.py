"""`task.pairs.type: common_neighbors`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import PositiveFloat, PositiveInt
from graphstorm_like.config.pair_terms.base import PairTermConfig


class CommonNeighborsConfig(PairTermConfig):
    """Common neighbours, weighed by the pair of relations that lead to them; each counts 1 / its degree."""

    type: Literal["common_neighbors"]
    kinds: PositiveInt = 16
    """So many pairs of relations: those that connect the ends of most training edges."""
    most_neighbors: PositiveInt = 1000
    """Nodes with more neighbours are passed by: they say little, and cost most of the time."""
    lr_factor: PositiveFloat = 10.0
    """Times `train.lr`, at which its weights learn: a few numbers from 0 on, which else hardly move in a few epochs."""

    @property
    def reads_all_relations(self) -> bool:
        """See PairTermConfig."""
        return True
