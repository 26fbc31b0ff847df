"""`task.negatives.type: own_partition`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.negatives.base import NegativesConfig


class OwnPartitionNegativesConfig(NegativesConfig):
    """Nodes drawn evenly within each partition of the graph, as many of each, so that every host computes the vectors
    of its own nodes alone and reads none of their rows from others. With one partition the same as uniform."""

    type: Literal["own_partition"]
    count: PositiveInt = 256
    """This many targets are drawn in all, shared by the batch."""
