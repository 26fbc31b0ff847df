"""`task.type: node_preference`"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from graphstorm_like.config.base import EdgeType, Name, NonNegativeFloat, PositiveFloat
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.problems import Problem, unknown_name
from graphstorm_like.config.tasks.labels import ClassLabelConfig, NodeLabelConfig


class NodePreferenceConfig(ClassLabelConfig, NodeLabelConfig):
    """Predict a class of each node of one type from few labels and many soft scores, which a language model or anybody
    else has given: within a group, nodes with a higher score should get a higher probability. What all scores of a
    group have in common, such as a bias for its context, does not count."""

    type: Literal["node_preference"]

    classifies_nodes: ClassVar[bool] = True
    may_be_joined: ClassVar[bool] = False

    scores: Annotated[dict[str, Annotated[list[Name], Field(min_length=1)]], Field(min_length=1)]
    """By class, the labels (kind: number) of the node type that hold its scores, from 0 to 1; several, such as those of
    several prompts, are averaged. A node without one of them has no scores. The labels' own splits do not count."""
    group_by: str
    """What the nodes of a group share: a value of this label (kind: class) of theirs, or the node at the other end of
    their edges of this type, 'source:relation:target'."""
    margin: Literal["adaptive"] | PositiveFloat = "adaptive"
    """By how much the probability of the node with the higher score must be higher. adaptive: by the difference of the
    scores; or a number."""
    min_gap: NonNegativeFloat = 0.05
    """Pairs whose scores differ by no more than this do not count."""
    preference_weight: PositiveFloat = 1.0
    """Of the loss of pairs, beside that of labels."""
    most_members: Annotated[int, Field(ge=2)] = 16
    """Members of a group that a step compares, at most; others come in other epochs."""

    def labels(self) -> dict[str | EdgeType, list[str]]:
        """See TaskConfig."""
        names = [self.label, *(name for of_class in self.scores.values() for name in of_class)]
        return {self.node_type: names if ":" in self.group_by else [*names, self.group_by]}

    @property
    def read_edges(self) -> tuple[EdgeType, ...]:
        """See TaskConfig."""
        if ":" not in self.group_by:
            return ()
        source, relation, target = self.group_by.split(":")
        return ((source, relation, target),)

    def check(self, graph: GraphConfig) -> Iterator[Problem]:
        """See TaskConfig."""
        yield from super().check(graph)
        if self.snapshots is not None:
            yield ("snapshots",), "must be left out: steps are made of groups, of all times"
        if self.node_type not in graph.nodes:
            return
        labels = graph.nodes[self.node_type].labels
        for class_name, names in self.scores.items():
            for name in names:
                at = ("scores", class_name)
                if name not in labels:
                    yield at, unknown_name("label", name, labels)
                elif labels[name].kind != "number":
                    yield at, f"must be a label of kind number (got '{name}' of kind {labels[name].kind})"
        yield from self._check_groups(graph)

    def _check_groups(self, graph: GraphConfig) -> Iterator[Problem]:
        labels, at = graph.nodes[self.node_type].labels, ("group_by",)
        if ":" not in self.group_by:
            if self.group_by not in labels:
                yield at, unknown_name("label", self.group_by, labels)
            elif labels[self.group_by].kind != "class":
                yield at, f"must be a label of kind class (got '{self.group_by}' of kind {labels[self.group_by].kind})"
            return
        names = [":".join(edge.edge_type) for edge in graph.edges]
        if self.group_by not in names:
            yield at, unknown_name("edge type", self.group_by, names)
        elif self.node_type not in self.group_by.split(":")[::2]:
            yield at, f"must be an edge type with '{self.node_type}' at an end (got '{self.group_by}')"
