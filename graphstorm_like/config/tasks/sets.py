"""Parts of the tasks about labels of sets of nodes: graphs, baskets, sessions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from graphstorm_like.config.base import EdgeType, EdgeTypeField, PositiveInt, edge_name
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.problems import Problem, check_original
from graphstorm_like.config.tasks.labels import NodeLabelConfig


class SetLabelConfig(NodeLabelConfig):
    """The label is one of the nodes of `node_type`, each of which stands for the set of its members: it is read off
    their vectors alone."""

    members: EdgeTypeField
    """The edges between sets and members, 'source:relation:target', with `node_type` at one end."""
    readout: Literal["mean", "sum", "max", "attention"] = "mean"
    """How the members' vectors become one; max: of each number; attention: a mean with learnt weights."""
    most_members: PositiveInt = 256
    """Members of a set that a training step reads, at most: drawn again for each epoch. Scoring reads all."""

    @property
    def member_type(self) -> str:
        """Node type of the members."""
        source, _, target = self.members
        return target if source == self.node_type else source

    @property
    def read_edges(self) -> tuple[EdgeType, ...]:
        """See TaskConfig."""
        return (self.members,)

    def node_types(self, edge_types: Sequence[EdgeType]) -> tuple[str, ...]:
        """See TaskConfig."""
        return (self.member_type,)

    def check_own_times(self, predicts: bool) -> Iterator[Problem]:
        """See TaskConfig."""
        at = ("model", "time", "at")
        yield at, f"must be end or a point in time with task.type: {self.type} (got own): sets are read off members"

    def check(self, graph: GraphConfig) -> Iterator[Problem]:
        """See TaskConfig."""
        yield from super().check(graph)
        yield from check_original(graph, self.members, ("members",))
        if (self.members[0] == self.node_type) == (self.members[2] == self.node_type):
            yield (
                ("members",),
                f"must have '{self.node_type}' at one end and another node type at the other (got "
                f"'{edge_name(self.members)}')",
            )
