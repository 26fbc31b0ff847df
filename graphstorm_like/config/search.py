"""`infer.search` and `gsl index`: how the nearest vectors are looked up.

exact   every vector is compared: up to some million pairs
ivf     lists around centres: quick to build
hnsw    a graph of near vectors: the fastest answers, slow to build
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from graphstorm_like.config.base import KeyedError, PositiveInt
from graphstorm_like.config.choice import Choice


class SearchConfig(Choice, tag="type", default="exact"):
    """How the vectors with the largest inner products are found."""

    type: str
    is_exact: ClassVar[bool] = False
    """Whether every vector is compared, so that nothing can be missed."""


class ExactSearchConfig(SearchConfig):
    """Every vector is compared with every query, block by block. Needs no other package; right up to some million
    pairs of a query and a vector a millisecond."""

    type: Literal["exact"]
    is_exact: ClassVar[bool] = True


class HnswSearchConfig(SearchConfig):
    """A graph of near vectors, walked from far to near (Malkov and Yashunin 2018; faiss). Slow to build, the fastest to
    search; memory: the vectors and 8 bytes a neighbour."""

    type: Literal["hnsw"]
    neighbours: Annotated[int, Field(ge=2, le=512)] = 32
    """Links of a vector (M): more find more, and take memory."""
    build_effort: PositiveInt = 128
    """Candidates while building (efConstruction)."""
    search_effort: PositiveInt = 128
    """Candidates while searching (efSearch), at least as many as are asked for: more find more and take longer."""


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
