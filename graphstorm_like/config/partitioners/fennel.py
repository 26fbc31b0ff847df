"""`method: fennel`"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from graphstorm_like.config.partitioners.streaming import StreamingPartitions


class FennelPartitions(StreamingPartitions):
    """Few edges between partitions, with memory for nodes only: a node goes where most of its neighbours are, less a
    price that grows with the size of the partition (Tsourakakis et al. 2014), in several passes (Nishimura & Ugander
    2013)."""

    method: Literal["fennel"]
    gamma: Annotated[float, Field(gt=1.0, le=4.0)] = 1.5
    """The price of a partition of n nodes grows like n ** (gamma - 1)."""
