"""`type: hnsw`"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.search.base import SearchConfig


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
