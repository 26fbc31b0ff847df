"""`method: ldg`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.partitioners.streaming import StreamingPartitions


class LdgPartitions(StreamingPartitions):
    """Linear deterministic greedy (Stanton & Kliot 2012): a node goes where most of its neighbours are, times the
    share of the partition that is still free. Memory is for nodes only."""

    method: Literal["ldg"]
