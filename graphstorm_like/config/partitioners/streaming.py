"""What the streaming partition methods share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.partitioners.base import SeededPartitions

BalanceField = Annotated[list[Literal["nodes", "types", "train", "edges"]], Field(min_length=1)]


class StreamingPartitions(SeededPartitions):
    """Base of methods that read the edges in passes, and put each node where its neighbours are. Memory is for nodes
    only: about 4 bytes each, and not for edges."""

    balance: BalanceField = ["types", "train"]
    """What is spread evenly. nodes: all nodes together; types: the nodes of every type; train: the training nodes (of
    every type, with types), and the others; edges: the edges into a partition's nodes, as far as the others allow."""
    slack: Annotated[float, Field(gt=0.0, le=10.0)] = 0.03
    """How many more nodes than the mean a partition may have of each kind: .03 is 3 % (rounded up to whole nodes)."""
    edge_slack: Annotated[float, Field(gt=0.0, le=10.0)] = 0.2
    """The same for edges, with `balance: edges`. The less, the more edges between partitions."""
    passes: PositiveInt = 10
    """How often the edges are read, at most: it ends when less than .1 % of the nodes change their partition."""
