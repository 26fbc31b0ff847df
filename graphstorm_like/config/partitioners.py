"""`graph.partitions:` in how many partitions a graph folder is, and which nodes go where.

metis    fewest edges between parts; needs the extra `dgl` and the graph in memory
fennel   few edges between parts, with memory for nodes only
ldg      the same, by an older rule
range    tables whose order says what belongs together
hash     a node stays where it is when the graph grows
random   equally many nodes; nearly every edge is between parts
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from graphstorm_like.config.base import Name, PositiveInt
from graphstorm_like.config.choice import Choice
from graphstorm_like.errors import did_you_mean


class PartitionsConfig(Choice, tag="method", default="random"):
    """How many partitions the graph folder has, and which nodes go where. In a run over several hosts each host owns
    one."""

    method: str
    count: PositiveInt = 1
    """Number of partitions: launch.hosts."""

    def problem(self, columns: Mapping[str, Collection[str]]) -> str | None:
        """What is wrong with it for a graph whose node types have these columns (features, texts, labels, by the names
        that the YAML gives them; `id`, `position`); None: nothing."""
        return None


class SeededPartitions(PartitionsConfig):
    """Base of methods that draw at random."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Of the random draws: the same graph and seed give the same partitions."""


POSITION, ID = ALWAYS = "position", "id"
"""What every node type has: the order of its table, and ids."""


def _by_type(value: Any) -> Any:
    if not isinstance(value, str | dict) or not value:
        raise ValueError("must be a column, or a mapping of node types to columns")
    return value


By = Annotated[str | dict[Name, str], BeforeValidator(_by_type)]
"""A column for every node type that has it, or a column for each node type."""


def column_problem(by: str | Mapping[str, str], known: Mapping[str, Collection[str]]) -> str | None:
    """What is wrong with `by` for node types with these columns: a type lacks what is named for it, or no type has
    it."""
    if isinstance(by, str):
        every = dict.fromkeys(name for names in known.values() for name in names)
        return None if by in every else _one_of("by", by, every)
    for node_type, name in by.items():
        if node_type not in known:
            return _one_of("node types of 'by'", node_type, known)
        if name not in known[node_type]:
            return _one_of(f"by.{node_type}", name, known[node_type])
    return None


def _one_of(what: str, got: str, known: Collection[str]) -> str:
    return f"{what} must be one of {', '.join(known)} (got {got!r}).{did_you_mean(got, known)}"


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


class FennelPartitions(StreamingPartitions):
    """Few edges between partitions, with memory for nodes only: a node goes where most of its neighbours are, less a
    price that grows with the size of the partition (Tsourakakis et al. 2014), in several passes (Nishimura & Ugander
    2013)."""

    method: Literal["fennel"]
    gamma: Annotated[float, Field(gt=1.0, le=4.0)] = 1.5
    """The price of a partition of n nodes grows like n ** (gamma - 1)."""


class HashPartitions(SeededPartitions):
    """A node's partition follows from a hash of its id (or of another column) and the seed alone: it stays when nodes
    are added, and nodes with the same value are together. Partitions are about equally large if the values are
    many."""

    method: Literal["hash"]
    by: By = "id"
    """`id`, or the name of a feature, label or text; or one for each node type. Types without it take the id."""

    def problem(self, columns: Mapping[str, Collection[str]]) -> str | None:
        """See PartitionsConfig."""
        if POSITION in ([self.by] if isinstance(self.by, str) else self.by.values()):
            return (
                "by must be a column (got 'position', which changes when nodes are added). Set by: id, or method: range"
            )
        return column_problem(self.by, columns)


class LdgPartitions(StreamingPartitions):
    """Linear deterministic greedy (Stanton & Kliot 2012): a node goes where most of its neighbours are, times the
    share of the partition that is still free. Memory is for nodes only."""

    method: Literal["ldg"]


class MetisPartitions(SeededPartitions):
    """Few edges between partitions, by METIS (needs the extra `dgl`). Every node type and its training nodes are
    spread evenly. Takes about 170 bytes of memory an edge."""

    method: Literal["metis"]


class RandomPartitions(SeededPartitions):
    """Equally many nodes of every type in each partition, drawn at random. Nearly every edge is between partitions."""

    method: Literal["random"] = "random"


class RangePartitions(PartitionsConfig):
    """Nodes are sorted, and each partition takes equally many neighbours in that order: good when the order of the
    tables, or a column, says what belongs together (time, place, community)."""

    method: Literal["range"]
    by: By = "position"
    """`position`: the order of the tables; `id`; or the name of a feature of one number, a label or a text; or one
    for each node type. Types without it keep the order of their table; missing values come last."""

    def problem(self, columns: Mapping[str, Collection[str]]) -> str | None:
        """See PartitionsConfig."""
        return column_problem(self.by, columns)
