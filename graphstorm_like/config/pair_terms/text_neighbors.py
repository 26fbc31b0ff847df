"""`task.pairs.type: text_neighbors`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import PositiveFloat, PositiveInt
from graphstorm_like.config.pair_terms.base import PairTermConfig


class TextNeighborsConfig(PairTermConfig):
    """Votes of the sources with the most similar texts for the targets of their training edges. Texts are compared by
    their words (TF-IDF); nodes of the source type must have texts."""

    type: Literal["text_neighbors"]
    k: PositiveInt = 50
    """Sources that vote, at most: of those that have training edges."""
    most_texts: PositiveInt = 10_000
    """Words in more texts than this are left out: they say little, and cost most of the time."""
    lr_factor: PositiveFloat = 10.0
    """Times `train.lr`, at which its weights learn: a few numbers from 0 on, which else hardly move in a few epochs."""

    @property
    def compares_source_texts(self) -> bool:
        """See PairTermConfig."""
        return True
