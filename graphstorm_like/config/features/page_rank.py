"""`encode: page_rank`"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.features.structure import StructureFeature


class PageRankFeature(StructureFeature):
    """How often a walk along the edges, of all node types, comes by a node: log of its share times the number of nodes,
    so that 0 is the average."""

    encode: Literal["page_rank"]
    both_ways: bool = True
    """Walk along edges in both directions; false: from source to target."""
    damping: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.85
    """Share of steps that follow an edge; the others go to any node."""
    steps: PositiveInt = 20
    """Of the power iteration: each takes time for all edges, and the error falls by `damping`."""
