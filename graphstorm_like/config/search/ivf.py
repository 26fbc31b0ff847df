"""`type: ivf`"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from graphstorm_like.config.base import KeyedError, PositiveInt
from graphstorm_like.config.search.base import SearchConfig


class IvfSearchConfig(SearchConfig):
    """Vectors lie in lists by their nearest centre; only the lists nearest to a query are compared (faiss). Quick to
    build, little memory beside the vectors."""

    type: Literal["ivf"]
    lists: PositiveInt | None = None
    """Number of lists; null: about 4 times the square root of the number of vectors."""
    probes: PositiveInt | None = None
    """Lists compared for a query: more find more and take longer; null: a sixteenth of the lists, at least 8."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Of the draws when centres are learnt."""

    @model_validator(mode="after")
    def _probes_exist(self) -> IvfSearchConfig:
        if self.lists is not None and self.probes is not None and self.probes > self.lists:
            raise KeyedError("probes", f"must be at most lists, {self.lists} (got {self.probes})")
        return self
