"""`task.negatives.type: mined_resource_allocation`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.negatives.mined import MinedNegativesConfig


class MinedResourceAllocationConfig(MinedNegativesConfig):
    """By common neighbours in the training graph, each in proportion to 1 / its degree (resource allocation, Zhou
    et al. 2009)."""

    type: Literal["mined_resource_allocation"]
    most_neighbors: PositiveInt = 1000
    """Nodes with more neighbours are passed by: they say little, and cost most of the time."""
