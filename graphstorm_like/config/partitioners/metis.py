"""`method: metis`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.partitioners.base import SeededPartitions


class MetisPartitions(SeededPartitions):
    """Few edges between partitions, by METIS (needs the extra `dgl`). Every node type and its training nodes are
    spread evenly. Takes about 170 bytes of memory an edge."""

    method: Literal["metis"]
