"""`task.negatives.type: mined_page_rank`"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.negatives.mined import MinedNegativesConfig


class MinedPageRankConfig(MinedNegativesConfig):
    """By personalised PageRank: where a walk from the source through the training graph is, which goes back with the
    chance `restart` after each step."""

    type: Literal["mined_page_rank"]
    restart: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.15
    """The alpha of HeaRT (Li et al., NeurIPS 2023): .15."""
    steps: PositiveInt = 3
    """The walk ends after so many steps at most."""
    most_neighbors: PositiveInt = 1000
    """Walks do not go on from nodes with more neighbours."""
