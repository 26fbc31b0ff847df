"""`method: random`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.partitioners.base import SeededPartitions


class RandomPartitions(SeededPartitions):
    """Equally many nodes of every type in each partition, drawn at random. Nearly every edge is between partitions."""

    method: Literal["random"] = "random"
